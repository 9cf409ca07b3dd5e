"""Runs a program of the system: arguments as they are, input by a pipe, an answer of bounded size, an error as a sentence.

No shell is in between, so nothing in an argument or an input is obeyed by one. Knows processes; nothing of what is asked.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence

from ..errors import DesktopError
from ..system import debug_log
from ..system.printable import printable

SECONDS = 30.0
"""For so long a program is waited for, unless it waits for the user."""
MOST = 64_000_000
"""Bytes of an answer."""
_SAID = 300


class ToolFailed(DesktopError):
    """A program ended with an error.

    Attributes:
        code: its exit status.
        said: what it wrote about it, in one line.
    """

    def __init__(self, program: str, code: int, said: str) -> None:
        self.code, self.said = code, said
        super().__init__(f"{program} failed: {said or f'exit code {code}'}")


def find(program: str, where: str = "") -> str:
    """The whole path of a program. Raises DesktopError: there is none.

    Args:
        where: a further directory to look into.
    """
    path = shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}{os.pathsep}{where}" if where else None)
    if path is None:
        raise DesktopError(f"there is no program {program} here, which is a part of macOS")
    return path


def run(
    program: str,
    *arguments: str,
    said: bytes = b"",
    answers: bool = True,
    seconds: float = SECONDS,
    environment: Mapping[str, str] | None = None,
) -> bytes:
    """What a program writes.

    Args:
        program: its name, or its whole path.
        said: what it reads from its standard input.
        answers: whether it is listened to. One that goes on in the background, as xclip does, would be waited for.

    Raises:
        ToolFailed: it ends with an error.
        DesktopError: it is missing, can't be run with these arguments, takes too long or writes more than `MOST` bytes.
    """
    path = find(program)
    name = os.path.basename(program)
    if any("\0" in argument for argument in arguments):
        raise DesktopError(f"{name} can't be given a text with a NUL in it: leave that character out")
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as complaints:
        given.write(said)
        given.seek(0)
        output = subprocess.PIPE if answers else subprocess.DEVNULL
        last = time.monotonic() + seconds
        try:
            with _started(
                [path, *arguments], given.fileno(), output, complaints.fileno(), environment, name
            ) as process:
                answer = _read(process.stdout.fileno(), last, name) if process.stdout else b""
                code = process.wait(max(0.0, last - time.monotonic()))
        except (TimeoutError, subprocess.TimeoutExpired):
            raise DesktopError(f"{name} did not end within {seconds:,.0f} seconds, and was ended") from None
        if code:
            complaints.seek(0)
            raise ToolFailed(name, code, _line(complaints.read(10_000)))
    return answer


@contextlib.contextmanager
def _started(
    command: Sequence[str],
    given: int,
    output: int,
    complaints: int,
    environment: Mapping[str, str] | None,
    name: str,
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that ends with the block, whatever ends that."""
    try:
        process = subprocess.Popen(command, stdin=given, stdout=output, stderr=complaints, env=environment)
    except (OSError, ValueError) as e:  # a path that is no program, too many bytes of arguments
        debug_log.caught(e, f"{name} is not run")
        raise DesktopError(f"{name} can't be run: {getattr(e, 'strerror', None) or e}") from None
    try:
        yield process
    except BaseException:
        process.kill()
        raise
    finally:
        if process.stdout:
            process.stdout.close()
        process.wait()


def _read(descriptor: int, last: float, name: str) -> bytes:
    """What is written to a pipe until it is closed. Raises TimeoutError: that does not happen in time."""
    parts, size = list[bytes](), 0
    poll = select.poll()  # select knows the first 1,024 descriptors only
    poll.register(descriptor, select.POLLIN | select.POLLHUP)
    while size <= MOST:
        left = last - time.monotonic()
        if left <= 0 or not poll.poll(1000 * left):
            raise TimeoutError
        data = os.read(descriptor, 65_536)
        if not data:
            return b"".join(parts)
        parts.append(data)
        size += len(data)
    raise DesktopError(f"{name} writes more than {MOST / 1e6:,.0f} MB: ask it for less")


def _line(complaint: bytes) -> str:
    """The last line of what was said, which is where programs say what is the matter."""
    lines = complaint.decode("utf-8", "replace").strip().splitlines()
    return printable(lines[-1].strip())[:_SAID] if lines else ""
