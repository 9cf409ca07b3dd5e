"""`scripts/mac_check_desktop.sh`, which tries the recipes on a Mac: here with stand-ins, and elsewhere than on a Mac."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from rooms import ROOT
from waiting import PATIENCE

RGMLX = """#!{python}
import sys
if sys.argv[1] == "ask":
    sys.exit(print("A fox."))
from pathlib import Path
from rgmlx.system import macos
macos.here = lambda: {is_mac}
from rgmlx.desktop import installation
installation.program_of = lambda name: Path(sys.argv[0]).absolute()
from rgmlx.cli import main
main()
"""
PLUTIL = """#!{python}
import plistlib, sys
data = plistlib.load(open(sys.argv[-1], "rb"))
if sys.argv[1] == "-extract":
    for key in sys.argv[2].split("."):
        data = data[int(key)] if key.isdigit() else data[key]
    print(data)
else:
    print(sys.argv[-1] + ": OK")
"""
LAUNCHCTL = """#!/bin/sh
echo "$*" >> "$0.calls"
case $1 in
bootstrap) label=$(basename "$3" .plist); touch "$0.$label" ;;
bootout) rm "$0.$(basename "$2")" 2>/dev/null || exit 3 ;;
print) [ -e "$0.$(basename "$2")" ] && echo "state = waiting" || exit 113 ;;
esac
"""


@pytest.fixture
def bin(tmp_path: Path) -> Path:
    made = tmp_path / "bin"
    made.mkdir()
    return made


def program(file: Path, text: str, **values: object) -> None:
    file.write_text(text.format(**values) if values else text)
    file.chmod(0o755)


def check(bin: Path, *, is_mac: bool) -> subprocess.CompletedProcess[str]:
    program(bin / "rgmlx", RGMLX, python=sys.executable, is_mac=is_mac)
    program(bin / "uname", f"#!/bin/sh\necho {'Darwin' if is_mac else 'Linux'}\n")
    env = {"PATH": f"{bin}:/usr/bin:/bin", "HOME": str(bin.parent), "TMPDIR": str(bin.parent)}
    env["PYTHONPATH"] = os.pathsep.join(sys.path)
    command = ["bash", str(ROOT / "scripts" / "mac_check_desktop.sh"), str(bin / "rgmlx")]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=PATIENCE)


def verdicts(out: str) -> tuple[list[str], list[str]]:
    """What went well, and what did not."""
    lines = out.splitlines()
    return [line[4:] for line in lines if line.startswith("ok: ")], [
        line for line in lines if line.startswith("FAILED")
    ]


def test_elsewhere_it_shows_what_would_be_done(bin: Path) -> None:
    done = check(bin, is_mac=False)
    well, badly = verdicts(done.stdout)
    assert done.returncode == 0 and not done.stderr and not badly and well[-1] == "nothing was written"
    assert done.stdout.count("would write") == 6 * 3 + 3 * 2 and done.stdout.endswith("The rest needs a Mac.\n")
    assert sorted(path.name for path in bin.parent.iterdir()) == ["bin"], "its home directory is removed"


def test_on_a_mac_each_is_tried_and_nothing_is_left(bin: Path) -> None:
    program(bin / "plutil", PLUTIL, python=sys.executable)
    program(bin / "launchctl", LAUNCHCTL)
    program(bin / "python", '#!/bin/sh\necho "ran $2"\n')
    for name in ("pbs", "automator", "textutil", "qlmanage", "osascript"):
        program(bin / name, "#!/bin/sh\nexit 0\n")
    done = check(bin, is_mac=True)
    well, badly = verdicts(done.stdout)
    assert done.returncode == 0 and not badly, done.stdout + done.stderr
    expected = {"install", "the same again", "the line, with a selection", "uninstall", "nothing is left"}
    expected |= {"a name for a file", "the workflow, by Automator", "a picture is read", "launchd has name-files"}
    assert expected <= set(well) and "A fox." in done.stdout
    assert f"The line of a Service: exec {bin}/rgmlx desktop run summarize" in done.stdout
    assert done.stdout.count(": OK\n") == 6 * 2 + 3 and not list(bin.glob("launchctl.rgmlx.*"))
    assert sorted(path.name for path in bin.parent.iterdir()) == ["bin"]


def test_what_goes_wrong_is_said_and_one_s_own_agents_stay(bin: Path) -> None:
    program(bin / "plutil", PLUTIL, python=sys.executable)
    program(bin / "launchctl", LAUNCHCTL)
    (bin / "launchctl.rgmlx.watch-folder").touch()
    for name in ("pbs", "python", "textutil", "qlmanage", "osascript"):
        program(bin / name, "#!/bin/sh\nexit 0\n")
    program(bin / "automator", "#!/bin/sh\nexit 1\n")
    done = check(bin, is_mac=True)
    well, badly = verdicts(done.stdout)
    assert done.returncode == 1 and badly == ["FAILED: the workflow, by Automator"] and "nothing is left" in well
    assert "Your own watch-folder is installed" in done.stdout and (bin / "launchctl.rgmlx.watch-folder").exists()
    assert "boot" not in (bin / "launchctl.calls").read_text() and done.stdout.count(": OK\n") == 6 * 2
