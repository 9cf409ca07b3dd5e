#!/bin/sh
# What the Makefile sets rgmlx up with, from the root of the clone:
#   setup.sh venv DIR             a virtual environment with Python 3.11 or newer, in place of a broken one
#   setup.sh install DIR ARGS...  pip's `install ARGS...` into it
#   setup.sh uv                   prints where a uv is
# Uses the uv that is installed, or else a Python 3.11 or newer. On a machine with neither, such as a Mac with the
# Command Line Tools (Python 3.9), it gets itself a uv with pip, and uv gets a Python; both go to build/.
# Nothing of this has run on a Mac.
set -u
LOG=build/setup.log
OWN_UV=build/uv/bin/uv
OWN_PYTHONS=build/python

refuse() {
    echo "rgmlx: $1" >&2
    exit 1
}

# A command whose noise goes to the log.
quietly() {
    mkdir -p build
    "$@" >>"$LOG" 2>&1
}

# Also where its installer puts it, which is in the PATH of a new window only.
find_uv() {
    command -v uv 2>/dev/null && return
    for p in "$OWN_UV" "${HOME:-}/.local/bin/uv"; do
        [ -x "$p" ] && echo "$p" && return
    done
    return 1
}

# Any Python from 3.8 on can install uv, and uv needs none.
fetch_uv() {
    for p in ${PYTHON:-} python3 python; do
        "$p" -c 'import sys; sys.exit(sys.version_info < (3, 8))' 2>/dev/null || continue
        rm -rf build/uv
        quietly "$p" -m venv build/uv || continue
        quietly build/uv/bin/python -m pip install --quiet --disable-pip-version-check uv && [ -x "$OWN_UV" ] && return
    done
    return 1
}

# A Python that rgmlx runs on. On a Mac none for Intel, which Homebrew's old place, /usr/local, may still have.
find_python() {
    for p in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
        "$p" -c '
import platform, sys
intel = sys.platform == "darwin" and platform.machine() != "arm64"
sys.exit(sys.version_info < (3, 11) or intel)' 2>/dev/null && echo "$p" && return
    done
    return 1
}

# A virtual environment by a uv: of a Python that is there, or else of one that it gets.
venv_by_uv() {
    if [ "$(uname -s)" = Darwin ]; then
        there='cpython->=3.11-macos-aarch64' new='cpython-3.13-macos-aarch64'
    else
        there='cpython>=3.11' new='cpython-3.13'
    fi
    [ "$1" != "$OWN_UV" ] || export UV_PYTHON_INSTALL_DIR="${UV_PYTHON_INSTALL_DIR:-$PWD/$OWN_PYTHONS}"
    quietly "$1" venv --quiet --no-python-downloads --python "$there" "$2" && return
    rm -rf "$2"
    echo "Getting Python 3.13 ..."
    quietly "$1" venv --quiet --python "$new" "$2"
}

venv() {
    sh scripts/check_machine.sh || exit 1
    echo "Setting up rgmlx in $1 (once, about half a minute) ..."
    if [ "$1" != .venv ] && [ -e "$1" ] && [ ! -f "$1/pyvenv.cfg" ]; then
        refuse "$1 is there and is no virtual environment: move it away, then run make again"
    fi
    rm -rf "$1" "$LOG" # its Python was removed, or it was never finished
    if ! uv=$(find_uv); then
        if python=$(find_python); then
            quietly "$python" -m venv "$1" && return
            rm -rf "$1"
            refuse "$python can't make virtual environments: on Debian and Ubuntu run  apt install python3-venv  and then make again"
        fi
        echo "Getting uv, which gets a newer Python ..."
        fetch_uv && uv=$OWN_UV
    fi
    [ -n "$uv" ] && venv_by_uv "$uv" "$1" && return
    rm -rf "$1"
    refuse "it needs Python 3.11 or newer, and could not get one$(reason): run  $(remedy)  and then make again"
}

reason() {
    [ -s "$LOG" ] && echo " ($LOG says why)"
}

remedy() {
    if command -v brew >/dev/null 2>&1; then
        echo "brew install python@3.13"
    else
        echo "curl -LsSf https://astral.sh/uv/install.sh | sh"
    fi
}

install() {
    python=$1/bin/python
    shift
    if uv=$(find_uv); then
        "$uv" pip install --quiet --python "$python" "$@"
    elif "$python" -c 'import pip' 2>/dev/null; then
        "$python" -m pip install --quiet --disable-pip-version-check "$@"
    else # made by a uv that is gone
        fetch_uv || refuse "the uv that set this up is gone: install it again, or run  make clean  and then make again"
        "$OWN_UV" pip install --quiet --python "$python" "$@"
    fi
}

case "${1:-}" in
venv | install)
    command=$1
    shift
    "$command" "$@"
    ;;
uv) find_uv || { fetch_uv && echo "$OWN_UV"; } || refuse "there is no uv and it could not be installed ($LOG says why)" ;;
*) refuse "setup.sh is for the Makefile: run  make chat" ;;
esac
