"""Commands as the user of this installation can type them.

`make chat` puts `rgmlx`, `rgchat` and `hf` into a virtual environment that no shell looks into. Knows where programs
are; nothing of what they do.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import sysconfig
from pathlib import Path


def typed(command: str) -> str:
    """A command line that begins with the name of a program of this installation, for a sentence or a screen.

    The name stays where a shell finds that very file by it, or where the file can't be found; else it becomes the
    file's whole path, quoted as a shell needs it.
    """
    name, space, rest = command.partition(" ")
    file = _file(name)
    if file is None or _is_found(name, file):
        return command
    return f"{shlex.quote(str(file))}{space}{rest}"


def program(name: str) -> Path | None:
    """The whole path of a program of this installation, for whoever starts it later; None where there is none.

    The name by which the user's shell finds that file comes first: it mostly stays when the program is upgraded.
    """
    file = _file(name)
    if file is not None and _is_found(name, file):
        return Path(str(shutil.which(name))).absolute()
    return file


def _file(name: str) -> Path | None:
    """The program that belongs to the running Python."""
    beside = [os.path.dirname(sys.executable)] if sys.executable else []
    schemes = [sysconfig.get_preferred_scheme("prefix"), sysconfig.get_preferred_scheme("user")]
    folders = [*beside, *(sysconfig.get_path("scripts", scheme) for scheme in schemes)]
    return next((file for folder in folders if os.access(file := Path(folder, name).absolute(), os.X_OK)), None)


def _is_found(name: str, file: Path) -> bool:
    found = shutil.which(name)
    try:
        return found is not None and os.path.samefile(found, file)
    except OSError:
        return False
