#!/bin/bash
# Everything that we would like to know about rgmlx on your Mac, in one text file to send:
#
#     scripts/mac_check.sh            (or: make mac)
#
# It sets rgmlx up, has `rgmlx doctor` and the kernels' comparison run, measures a reply with kernels and without, and at
# last asks you to press some keys. A part that fails or takes too long is noted, and the next one begins; Ctrl+C leaves a
# part out. About five minutes. Home directory, user and host names are left out of the file.
#
#     --no-keys       asks for no keys           --report FILE   writes there instead of mac-check.txt
#     --tokens N      of each reply (200)        --limit SECONDS the most that any part may take
#
# For the bash 3.2 and the Python 3.9 of macOS; runs on Linux too. Nothing of this has run on a Mac.
set -u
from=$PWD
cd "$(dirname "$0")/.." || exit 0

wrong() {
    echo "mac_check.sh: $1" >&2
    exit 2
}

keys=yes tokens=200 report=mac-check.txt limit=1000000 failed="" count=0
while [ $# -gt 0 ]; do
    case "$1" in
    --no-keys) keys=no ;;
    --tokens | --report | --limit)
        [ $# -gt 1 ] || wrong "$1 needs a value"
        case "$1" in --tokens) tokens=$2 ;; --report) report=$2 ;; --limit) limit=$2 ;; esac
        shift
        ;;
    -h | --help) sed -n '2,12s/^# \{0,1\}//p' scripts/mac_check.sh && exit 0 ;;
    *) wrong "there is no option $1: --help shows those there are" ;;
    esac
    shift
done
number() { # NAME VALUE
    case "$2" in '' | *[!0-9]* | ?????????*) wrong "$1 must be a whole number, not '$2'" ;; esac
}
number --tokens "$tokens"
number --limit "$limit"
case "$report" in /*) ;; *) report=$from/$report ;; esac
[ ! -d "$report" ] || wrong "$report is a directory: name a file"
touch "$report" 2>/dev/null || wrong "$report can't be written: name another file with --report"
venv=${RGMLX_VENV:-.venv} # another one for the tests
bin=$venv/bin
trap : INT # the part that runs ends by it, and we go on

# A Python for what is not rgmlx itself: any from 3.8 on.
python=""
for p in python3 "$bin/python"; do
    "$p" -c 'import sys; sys.exit(sys.version_info < (3, 8))' 2>/dev/null && python=$p && break
done
if [ -z "$python" ]; then
    echo "There is no python3, so nothing was checked: run  xcode-select --install" | tee "$report"
    exit 0
fi

# part TITLE SECONDS COMMAND...: runs it within its time, its output goes to the report.
part() {
    local title=$1 seconds=$2
    shift 2
    [ "$seconds" -le "$limit" ] || seconds=$limit
    count=$((count + 1))
    "$python" scripts/mac_check_part.py "$report" "$title" "$seconds" "$@" || failed="$failed, $title"
}

rm -f "$report"
echo "Writing $report. A part that you don't want to wait for: Ctrl+C."
part "this machine" 60 sh -c '
    date -u; uname -srm; git describe --always --dirty --tags; make --version | head -n 1; python3 --version
    for tool in uv brew xcode-select; do printf "%s: " $tool; command -v $tool || echo none; done
    if [ "$(uname -s)" = Darwin ]; then
        sw_vers; sysctl machdep.cpu.brand_string hw.model hw.memsize hw.ncpu hw.optional.arm64; xcode-select -p
    fi
    env | grep -E "^(TERM|TERM_PROGRAM|TERM_PROGRAM_VERSION|COLORTERM|LANG|LC_[A-Z]*|SHELL|TMUX|SSH_TTY|RGMLX_[A-Z]*)=" | sort
'
part "set-up (make setup)" 1200 make setup VENV="$venv"
case "$failed" in *set-up*) grep '^rgmlx: ' "$report" | tail -n 1 ;; esac # what to do about it, here too
if [ -x "$bin/rgmlx" ]; then
    if "$bin/rgmlx" doctor --help 2>/dev/null | grep -q -e --tune; then
        part "rgmlx doctor --tune" 900 "$bin/rgmlx" doctor --tune
    else
        part "rgmlx doctor" 900 "$bin/rgmlx" doctor
    fi
    part "the check at the first load" 300 "$bin/python" scripts/mac_check_reply.py --selfcheck
    part "a reply, kernels on" 300 "$bin/python" scripts/mac_check_reply.py --tokens "$tokens"
    part "a reply, kernels off" 300 env RGMLX_KERNELS=off "$bin/python" scripts/mac_check_reply.py --tokens "$tokens"
    part "parity of the kernels" 600 "$bin/python" scripts/parity.py
    part "beside mlx-lm" 600 "$bin/python" scripts/bench.py --repeats 3 --prefill 32 512 --decode "$tokens"
    if "$bin/rgmlx" --help 2>/dev/null | grep -q '^ *desktop '; then
        part "desktop recipes" 300 bash scripts/mac_check_desktop.sh "$bin/rgmlx"
    fi
else
    echo "Nothing was set up, so all that needs it is left out." | tee -a "$report"
fi
if [ "$keys" = yes ] && [ -t 0 ] && [ -t 1 ]; then
    count=$((count + 1))
    "$python" scripts/mac_check_keys.py "$report" || failed="$failed, keys"
fi

if [ -n "$failed" ]; then
    echo "Failed, or not finished: ${failed#, }." | tee -a "$report"
else
    echo "All $count parts went through." | tee -a "$report"
fi
echo "Please send $report: it is text, look through it first if you like."
exit 0
