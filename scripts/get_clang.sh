#!/usr/bin/env bash
# Installs clang 19 and its sanitizer runtimes, with which the tests run Metal kernels on a CPU. Only on Debian and
# Ubuntu, as root or with sudo that asks nothing; on a Mac it looks for Homebrew's llvm, which is not on the path. Elsewhere
# it says what is missing. Never fails: those tests then skip.
set -u
for name in clang++-21 clang++-20 clang++-19; do
    command -v "$name" >/dev/null && exit 0
done
missing="could not be installed"
if command -v brew >/dev/null; then
    [ -x "$(brew --prefix llvm 2>/dev/null)/bin/clang++" ] && exit 0
    missing="can be had by  brew install llvm"
fi
sudo=""
[ "$(id -u)" -eq 0 ] || sudo="sudo -n"
if command -v apt-get >/dev/null && { [ -z "$sudo" ] || $sudo true 2>/dev/null; }; then
    echo "Installing clang 19 for the Metal emulator (once) ..."
    export DEBIAN_FRONTEND=noninteractive
    install() { $sudo apt-get install -qq -y --no-install-recommends clang-19 libclang-rt-19-dev >/dev/null 2>&1; }
    install || { $sudo apt-get update -qq >/dev/null 2>&1 && install; } && exit 0
fi
echo "clang 19 was not found and $missing: the tests of the Metal kernels will be skipped." >&2
exit 0
