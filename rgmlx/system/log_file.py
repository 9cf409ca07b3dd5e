"""The handler that writes the debug log, for the logger `rgmlx` and those below it.

Knows Python's logging; what an error says there is decided in `causes`.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import platform
import sys
import time
from pathlib import Path
from types import FrameType

from .. import errors
from ..errors import RgmlxError
from . import bounded, causes
from .anonymous import anonymous
from .printable import printable

MAX_BYTES = 1_000_000
MAX_ENTRY = 20_000
"""Bytes of one entry; a longer one loses its middle."""
_SPARE = MAX_BYTES // 4
_MAKERS = (__name__, errors.__name__)
"""Modules whose functions make an error, and are not where it comes from."""
_log = logging.getLogger("rgmlx.errors")


class LogFile(logging.Handler):
    """A handler over a file of bounded size, to which other programs may write as well.

    Attributes:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(logging.DEBUG)
        self.path = path
        self._numbers = itertools.count(1)
        self.setFormatter(_Formatter("%(asctime)s %(process)d %(threadName)s %(name)s: %(message)s"))

    def begin(self) -> None:
        """Takes what is logged from here on, and nobody else is told. Raises OSError: it can't be written at present."""
        logger = logging.getLogger("rgmlx")
        logger.addHandler(self)
        logger.setLevel(logging.DEBUG)
        logger.propagate = False  # a handler of the root would put it on the screen
        errors.noticed = self._noticed
        about = f"rgmlx {sys.modules['rgmlx'].__version__}, Python {platform.python_version()}, {platform.platform()}"
        self._write(logger.makeRecord(logger.name, logging.DEBUG, "", 0, "%s", (about,), None))

    def caught(self, error: BaseException, what: str) -> None:
        """Notes an error that is caught, and what becomes of it."""
        _log.debug("%s\n%s", what, causes.told(error))

    def emit(self, record: logging.LogRecord) -> None:
        """Writes a record, if that can be done."""
        with contextlib.suppress(Exception):
            self._write(record)

    def _write(self, record: logging.LogRecord) -> None:
        text = "".join(map(printable, anonymous(self.format(record)).splitlines(keepends=True)))
        entry = bounded.shortened(f"{text}\n".encode("utf-8", "backslashreplace"), MAX_ENTRY)
        try:
            bounded.append(self.path, entry, MAX_BYTES, _SPARE)
        except FileNotFoundError:
            self.path.parent.mkdir(0o700, parents=True, exist_ok=True)
            bounded.append(self.path, entry, MAX_BYTES, _SPARE)

    def _noticed(self, error: RgmlxError) -> None:
        """Notes an error of ours as it is made, with what is being handled: `raise` will hide that, or who catches it."""
        with contextlib.suppress(Exception):
            told = causes.told(error, sys.exc_info()[1], _maker())
            error.logged = next(self._numbers)
            _log.debug("number %d: %s", error.logged, told)


class _Formatter(logging.Formatter):
    """Times in UTC, and of errors only what `causes` tells."""

    converter = staticmethod(time.gmtime)
    default_msec_format = "%s.%03dZ"

    def format(self, record: logging.LogRecord) -> str:
        if isinstance(record.args, tuple) and any(isinstance(value, BaseException) for value in record.args):
            record = logging.makeLogRecord(record.__dict__)
            assert isinstance(record.args, tuple)
            record.args = tuple(causes.told(v) if isinstance(v, BaseException) else v for v in record.args)
        return super().format(record)

    def formatException(self, ei: tuple[type[BaseException], BaseException, object] | tuple[None, None, None]) -> str:
        return causes.told(ei[1]) if ei[1] is not None else ""


def _maker() -> FrameType | None:
    """Where the error is made that is being noticed."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__") in _MAKERS:
        frame = frame.f_back
    return frame
