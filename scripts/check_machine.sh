#!/bin/sh
# Can rgmlx run on this machine? One sentence says why not, before pip says it in thirty lines; the exit code is 1 then.
# Needs sh and the system's own tools: no Python that rgmlx could use is there yet. RGMLX_CHECK=off leaves it out.
# Nothing of this has run on a Mac: what a tool does not answer stops nobody.
set -u

refuse() {
    echo "rgmlx: $1" >&2
    exit 1
}

# Its first argument is at least its second; both are versions of two numbers, such as 26.2.
at_least() {
    [ "${1%%.*}" -gt "${2%%.*}" ] || { [ "${1%%.*}" -eq "${2%%.*}" ] && [ "${1#*.}" -ge "${2#*.}" ]; }
}

# "none" where Metal gives this process no device; Metal is asked as MLX does, in a script that needs no compiler.
metal() {
    osascript -l JavaScript -e '
        ObjC.import("Cocoa");
        ObjC.import("Metal");
        if (typeof $.MTLCopyAllDevices !== "function") ObjC.bindFunction("MTLCopyAllDevices", ["id", []]);
        if (typeof $.MTLCreateSystemDefaultDevice !== "function")
            ObjC.bindFunction("MTLCreateSystemDefaultDevice", ["id", []]);
        $.MTLCreateSystemDefaultDevice().isNil() && Number($.MTLCopyAllDevices().count) === 0 ? "none" : "there"
    ' 2>/dev/null
}

case "${RGMLX_CHECK:-on}" in
on) ;;
off) exit 0 ;;
*) refuse "RGMLX_CHECK must be on or off, not '$RGMLX_CHECK': set it to one of them, or unset it" ;;
esac
case "$(uname -s)" in
Darwin) ;;
Linux) exit 0 ;;
*) refuse "MLX runs on macOS and Linux, and this is $(uname -s): use one of those" ;;
esac

if [ "$(uname -m)" != arm64 ]; then
    [ "$(sysctl -n hw.optional.arm64 2>/dev/null)" = 1 ] ||
        refuse "MLX needs a Mac with Apple silicon (M1 or newer), and this one has an Intel processor"
    refuse "this terminal runs under Rosetta, as on an Intel Mac, where MLX does not: run  arch -arm64 make chat"
fi

# Programs that were built long ago are told that every macOS is 10.16, unless this is set.
full=$(SYSTEM_VERSION_COMPAT=0 sw_vers -productVersion 2>/dev/null)
version=$(printf '%s\n' "$full.0" | sed -n 's/^\([0-9][0-9]*\.[0-9][0-9]*\).*$/\1/p')
update="update it in System Settings > General > Software Update"
if [ -n "$version" ]; then
    at_least "$version" 14.0 || refuse "MLX needs macOS 14 or newer, and this is macOS $full: $update"
    chip=$(sysctl -n machdep.cpu.brand_string 2>/dev/null)
    case "$chip" in
    "Apple M"[5-9]* | "Apple M"[1-9][0-9]*)
        at_least "$version" 26.2 || refuse "on an ${chip#Apple } MLX needs macOS 26.2 or newer, and this is macOS $full: $update"
        ;;
    esac
fi

[ "$(metal)" != none ] ||
    refuse "macOS shows no Metal device here, as in a sandbox or a virtual machine: run  make chat  in Terminal on the Mac itself (RGMLX_CHECK=off make chat  goes on without one)"
