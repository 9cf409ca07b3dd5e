"""For tests: Python programs that begin as forks of a process that has imported already. Run as a program, that process.

What a short program of ours imports takes most of its processor time. Descriptors, streams, signals, environment, directory and the
way it ends are those of a process of its own. Not so what Python decides by variables as it begins (`PYTHON...`, `LC_...`):
a program to which those matter is begun in the usual way, and so is each where a fork can't go on as another program (macOS).
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import io
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).parent.parent
COMMANDS = (
    *("rgmlx.cli", "rgmlx.model", "rgmlx.store", "rgmlx.conversation.named", "rgmlx.diagnosis.doctor"),
    *("rgmlx.convert.run", "rgmlx.convert.pipeline", "tui.plain", "tui.app"),
)
"""What most commands import, and none of it starts a thread."""
MLX_LM = (*COMMANDS, "rgmlx.mlx_lm", "mlx_lm.generate", "transformers")
_OF_PYTHON = ("PYTHON", "LC_", "LANG", "OPENBLAS_", "OMP_", "LD_", "TEXTUAL", "NO_COLOR", "COLORTERM")
"""How the names of variables begin that are looked at once, by Python or by what is imported."""
_ENVIRONMENT, _PYTHON = dict(os.environ), sys.executable  # tests change both


class Program:
    """A program that runs."""

    def __init__(self, told: socket.socket) -> None:
        self._told = told
        self.pid = int(told.recv(100))
        self.returncode: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        """The exit code; -N for signal N."""
        if self.returncode is None:
            self._told.settimeout(timeout)
            try:
                self.returncode = int(self._told.recv(100))
            except TimeoutError:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0) from None
            self._told.close()
        return self.returncode


def run(
    words: Sequence[str],
    *,
    imported: tuple[str, ...] = COMMANDS,
    env: Mapping[str, str] | None = None,
    cwd: Path | str = ROOT,
    stdin: IO[Any] | int | None = subprocess.DEVNULL,
    stdout: IO[Any] | int | None = subprocess.PIPE,
    stderr: IO[Any] | int | None = subprocess.PIPE,
    input: str | bytes | None = None,
    text: bool = True,
    timeout: float | None = None,
) -> subprocess.CompletedProcess[Any]:
    """What `subprocess.run([sys.executable, *words])` does, with `words` from `-m` or `-c` on. A stream of None is closed."""
    environment = dict(os.environ if env is None else env)
    if sys.platform != "linux" or _of_python(environment) != _of_python(_ENVIRONMENT):
        given = {"input": input} if input is not None else {"stdin": stdin}
        closing = [f"{number}>&-" for number, stream in enumerate((stdin, stdout, stderr)) if stream is None]
        return subprocess.run(
            ["sh", "-c", f'exec "$0" "$@" {" ".join(closing)}', _PYTHON, *words],
            stdout=stdout,
            stderr=stderr,
            text=text,
            cwd=cwd,
            env=environment,
            timeout=timeout,
            **given,
        )
    with contextlib.ExitStack() as stack:
        theirs: list[int | None] = []
        readers: list[_Reader | None] = []
        if input is not None:
            outlet, inlet = os.pipe()
            stack.callback(os.close, outlet)
            theirs.append(outlet)
        else:
            theirs.append(_opened(stdin, os.O_RDONLY, stack))
        for stream in (stdout, stderr):
            if stream == subprocess.PIPE:
                outlet, end = os.pipe()
                readers.append(_Reader(outlet))
                stack.callback(os.close, end)
                theirs.append(end)
            else:
                readers.append(None)
                theirs.append(_opened(stream, os.O_WRONLY, stack))
        program = _begin(imported, list(words), environment, str(cwd), theirs)
    if input is not None:
        data = input.encode() if isinstance(input, str) else input
        threading.Thread(target=_write, args=(inlet, data), daemon=True).start()
    try:
        code = program.wait(timeout)
    except subprocess.TimeoutExpired:
        os.kill(program.pid, signal.SIGKILL)
        raise
    outputs = [None if reader is None else reader.all() for reader in readers]
    shown = [one.decode() if one is not None and text else one for one in outputs]
    return subprocess.CompletedProcess([_PYTHON, *words], code, *shown)


def _of_python(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in environment.items()
        if name.startswith(_OF_PYTHON) and name != "PYTHONUNBUFFERED" and value
    }


def _opened(stream: IO[Any] | int | None, flags: int, stack: contextlib.ExitStack) -> int | None:
    if stream is None:
        return None
    if stream == subprocess.DEVNULL:
        descriptor = os.open(os.devnull, flags)
        stack.callback(os.close, descriptor)
        return descriptor
    return stream if isinstance(stream, int) else stream.fileno()


class _Reader:
    """What comes through a pipe, to its end."""

    def __init__(self, descriptor: int) -> None:
        self._parts: list[bytes] = []
        self._thread = threading.Thread(target=self._read, args=(descriptor,), daemon=True)
        self._thread.start()

    def _read(self, descriptor: int) -> None:
        with open(descriptor, "rb") as file:
            self._parts.append(file.read())

    def all(self) -> bytes:
        self._thread.join()
        return self._parts[0]


def _write(descriptor: int, data: bytes) -> None:
    with contextlib.suppress(BrokenPipeError), open(descriptor, "wb") as file:
        file.write(data)


def _begin(
    imported: tuple[str, ...], words: list[str], environment: Mapping[str, str], cwd: str, streams: Sequence[int | None]
) -> Program:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    request = {"words": words, "env": dict(environment), "cwd": cwd, "open": [one is not None for one in streams]}
    with theirs:
        descriptors = [theirs.fileno(), *(one for one in streams if one is not None)]
        socket.send_fds(_server(imported), [json.dumps(request).encode()], descriptors)
    return Program(ours)


@functools.cache
def _server(imported: tuple[str, ...]) -> socket.socket:
    """The process that has imported these modules; it ends with this one."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for one in (ours, theirs):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**20)
    with theirs:
        process = subprocess.Popen(
            [_PYTHON, __file__, str(theirs.fileno()), *imported],
            stdin=subprocess.DEVNULL,
            cwd=ROOT,
            env=_ENVIRONMENT,
            pass_fds=[theirs.fileno()],
        )
    atexit.register(process.wait)
    atexit.register(ours.close)  # the first of both
    return ours


# --- the process that is forked -----------------------------------------------------------


def _serve(control: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Waits for requests; returns in each process that is to become the program."""
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 2**20, 4)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, 0 if not message else os.WNOHANG)[0]:  # of those that wait for programs
                pass
        if not message:
            os._exit(0)
        if _fork():
            for descriptor in descriptors:
                os.close(descriptor)
            continue
        control.close()
        told = socket.socket(fileno=descriptors.pop(0))
        if pid := _fork():
            for descriptor in descriptors:
                os.close(descriptor)
            told.send(str(pid).encode())
            _, status = os.waitpid(pid, 0)
            with contextlib.suppress(OSError):
                told.send(str(os.waitstatus_to_exitcode(status)).encode())
            os._exit(0)
        told.close()
        return json.loads(message), descriptors


def _fork() -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of NumPy's threads, which know of forks
        return os.fork()


def _streams(is_open: Sequence[bool], descriptors: list[int], *, unbuffered: bool) -> None:
    """Descriptors and streams as Python has them at its beginning."""
    encoding = sys.__stdin__.encoding if sys.__stdin__ else "utf-8"
    for number, there in enumerate(is_open):
        if there:
            os.dup2(descriptor := descriptors.pop(0), number)
            os.close(descriptor)
        else:
            os.close(number)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        stream = None
        if is_open[number]:
            mode = "r" if name == "stdin" else "w"
            raw: Any = io.FileIO(number, mode, closefd=False)
            if mode == "r" or not unbuffered:
                raw = io.BufferedReader(raw) if mode == "r" else io.BufferedWriter(raw)
            stream = io.TextIOWrapper(
                raw,
                encoding,
                "backslashreplace" if name == "stderr" else "strict",
                "\n",
                line_buffering=name == "stderr" or raw.isatty(),
                write_through=mode == "w" and unbuffered,
            )
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _become(request: dict[str, Any], descriptors: list[int]) -> None:
    """Runs the program, to whose end ours comes as Python's does."""
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    _streams(request["open"], descriptors, unbuffered=bool(os.environ.get("PYTHONUNBUFFERED")))
    how, what, *arguments = request["words"]
    sys.argv = [how, *arguments]
    if how == "-m":
        sys.path[0] = request["cwd"]
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        sys.path[0] = ""
        exec(compile(what, "<string>", "exec"), {"__name__": "__main__", "__builtins__": __builtins__})


if __name__ == "__main__":
    sys.path.insert(1, str(ROOT))
    for _name in sys.argv[2:]:
        importlib.import_module(_name)
    gc.freeze()
    _become(*_serve(socket.socket(fileno=int(sys.argv[1]))))
