#!/bin/bash
# Tries each recipe of `rgmlx desktop` on a Mac, in a home directory of its own, which is removed: yours is not touched, but
# for a notification and a minute of two launch agents. A part of mac_check.sh.
#
#     scripts/mac_check_desktop.sh RGMLX        (the program, such as .venv/bin/rgmlx)
#
# Elsewhere than on a Mac it only shows what would be installed. Nothing of this has run on a Mac.
set -u
rgmlx=$1
python=$(dirname "$rgmlx")/python
failed=0
home=$(mktemp -d "${TMPDIR:-/tmp}/rgmlx-desktop.XXXXXX") || exit 1
trap 'rm -rf "$home"' EXIT
mkdir "$home/Library" "$home/Desktop" "$home/Downloads" "$home/files"

desktop() {
    HOME="$home" "$rgmlx" desktop "$@"
}
# try TITLE COMMAND...: runs it, with all that it prints, and says whether it went well.
try() {
    local title=$1
    shift
    echo "--- $title"
    if "$@" </dev/null; then echo "ok: $title"; else
        echo "FAILED: $title"
        failed=1
    fi
}
files() { # what is there of ours
    find "$home/Library/Services" "$home/Library/LaunchAgents" "$home/Library/Application Support/rgmlx/desktop" \
        -type f 2>/dev/null
}
nothing_left() { [ -z "$(files)" ] || { files && return 1; }; }

services="summarize fix-grammar reply translate clean-clipboard ask-file"
agents="name-files watch-folder log-digest"
options="--folder $home/Desktop --at 03:33"
try "the recipes" desktop list
try "how to make a shortcut" desktop show shortcuts
try "what would be installed" desktop install $services $agents $options --dry-run
try "nothing was written" nothing_left
if [ "$(uname -s)" != Darwin ]; then
    echo "The rest needs a Mac."
    exit $failed
fi

domain=gui/$(id -u)
for name in $agents; do
    if launchctl print "$domain/rgmlx.$name" >/dev/null 2>&1; then
        echo "Your own $name is installed: the launch agents are left out."
        agents=""
        options=""
        break
    fi
done
try "install" desktop install $services $agents $options
try "the same again" desktop install $services $agents $options
files | while read -r file; do
    case "$file" in *.json) ;; *) plutil -lint "$file" || touch "$home/failed" ;; esac
done
for name in $agents; do
    try "launchd has $name" launchctl print "$domain/rgmlx.$name"
done
bundle="$home/Library/Services/Summarize with rgmlx.workflow"
line=$(plutil -extract actions.0.action.ActionParameters.COMMAND_STRING raw -o - "$bundle/Contents/document.wflow")
echo "The line of a Service: $line"
service() { printf 'A fox met a crow. The crow had cheese.' | HOME="$home" /bin/sh -c "$line --print"; }
try "the line, with a selection" service
automator_runs() { # the embedded model may have no correction to offer, which is said in this way
    HOME="$home" automator -i 'I has two apple.' "$home/Library/Services/Fix Grammar with rgmlx.workflow" >"$home/said" 2>&1
    local code=$?
    cat "$home/said"
    [ $code = 0 ] || grep -q 'look like the text' "$home/said"
}
try "the workflow, by Automator" automator_runs

printf 'Invoice number 17 from the bakery\n' >"$home/files/IMG_0001.txt"
try "a name for a file" desktop run name-files --dry-run -- "$home/files"
cd "$home/files" || exit 1
try "text as a document" textutil -convert rtf -output letter.rtf IMG_0001.txt
try "text as a picture" qlmanage -t -s 1000 -o . IMG_0001.txt
read_back() {
    "$python" -c 'import pathlib, sys; from rgmlx.desktop import contents
print(contents.text_of(pathlib.Path(sys.argv[1]).absolute(), 200))' "$1"
}
try "a document is read" read_back letter.rtf
try "a picture is read" read_back IMG_0001.txt.png
try "a notification" "$python" -c 'from rgmlx import desktop; desktop.notify("It works, \"quoted\" $(and) `more`")'
try "the clipboard" "$python" -c 'from rgmlx import desktop; print(len(desktop.clipboard()), "characters")'
cd / || exit 1

try "uninstall" desktop uninstall --all
try "nothing is left" nothing_left
for name in $agents; do
    if launchctl print "$domain/rgmlx.$name" >/dev/null 2>&1; then
        echo "FAILED: launchd still has $name"
        failed=1
    fi
done
[ ! -e "$home/failed" ] || failed=1
exit $failed
