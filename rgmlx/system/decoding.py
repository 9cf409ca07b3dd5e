"""Text that comes in, from bytes: one rule for files, pipes and arguments.

UTF-8 with or without a byte order mark, or UTF-16 with one. The mark is not part of the text; CR LF and CR end a line
as LF does. Anything else is refused: a guess would change what a model answers, without a word.
"""

from __future__ import annotations

import codecs
import io
import os
import sys
from typing import Protocol

from ..errors import RgmlxError

_WRONG = "\udcff"  # stands for bytes that are no text; no decoder makes it of good ones
_CHUNK = 65_536
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


def _mark(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return _WRONG, error.end


codecs.register_error("rgmlx-mark", _mark)


class NotText(ValueError):
    """Bytes that are not text. The message stands after "... is ".

    Attributes:
        binary: there are NULs in it, so that no encoding would make it text.
        line: where that is, from 1.
    """

    def __init__(self, binary: bool, line: int = 1) -> None:
        self.binary, self.line = binary, line
        super().__init__(
            "not a text file: give one that holds UTF-8 text"
            if binary
            else "not UTF-8 text: convert it first, as with iconv -f latin1 -t utf-8"
        )


LEFT_OUT = f"a line was left out: it is {NotText(False)}"
"""What is said of a line that is not text."""


DecoderState = tuple[str, str, int]
"""What a decoder holds between two pieces: the encoding ("" while it is not known), bytes as hexadecimal, a CR."""


class Decoder:
    """Bytes that come in pieces, as text. What is wrong in them is marked; `check` finds the marks.

    Attributes:
        encoding: how text is written in these bytes, once that is known.
    """

    def __init__(self, state: DecoderState = ("", "", 0)) -> None:
        """Goes on where another one has been. Raises ValueError, TypeError: that is no decoder's state."""
        self.encoding, held, cr = state
        self._begun = b""
        self._decoder: codecs.IncrementalDecoder | None = None
        self._lines = io.IncrementalNewlineDecoder(None, translate=True)
        if self.encoding:
            if self.encoding not in (encoding for _, encoding in _MARKS):
                raise ValueError
            self._decoder = codecs.getincrementaldecoder(self.encoding)("rgmlx-mark")
            self._decoder.setstate((bytes.fromhex(held), 0))
            self._lines.setstate((b"", cr))
        else:
            self._begun = bytes.fromhex(held)

    @property
    def state(self) -> DecoderState:
        """What is held back, to go on with."""
        if self._decoder is None:
            return "", self._begun.hex(), 0
        return self.encoding, self._decoder.getstate()[0].hex(), self._lines.getstate()[1]

    def feed(self, data: bytes, final: bool = False) -> str:
        """The text that is complete now. A character, a mark or a line end may be cut between two pieces."""
        if self._decoder is None:
            data = self._begun = self._begun + data
            if not final and any(len(data) < len(mark) and mark.startswith(data) for mark, _ in _MARKS):
                return ""
            mark, self.encoding = next(((m, e) for m, e in _MARKS if data.startswith(m)), (b"", "utf-8"))
            self._decoder = codecs.getincrementaldecoder(self.encoding)("rgmlx-mark")
            data = data[len(mark) :]
        return self._lines.decode(self._decoder.decode(data, final), final)


def mended(text: str) -> tuple[str, int]:
    """A text of `Decoder` in which U+FFFD stands for what is not text, and how often."""
    count = text.count("\0") + text.count(_WRONG)
    return (text.replace("\0", "\ufffd").replace(_WRONG, "\ufffd") if count else text), count


def check(text: str) -> str:
    """A text of `Decoder` as it is. Raises NotText: some of its bytes are not text."""
    wrong = "\0" if "\0" in text else _WRONG
    if (at := text.find(wrong)) >= 0:
        raise NotText(wrong == "\0", text.count("\n", 0, at) + 1)
    return text


def decoded(data: bytes) -> str:
    """The text of some bytes. Raises NotText."""
    return check(Decoder().feed(data, final=True))


def argument(text: str, name: str) -> str:
    """The text of a command line's argument, which Python has decoded in its own way.

    Raises:
        RgmlxError: it is not UTF-8; the sentence says so of `name`.
    """
    try:
        return decoded(os.fsencode(text))
    except UnicodeEncodeError:  # the locale can't say it, so it did not come from there
        return text
    except NotText as e:
        raise RgmlxError(f"{name} is {e}") from None


class Pipe(Protocol):
    """A stream of bytes that gives what is there, such as `sys.stdin.buffer`."""

    def read1(self, size: int, /) -> bytes: ...


def standard_input() -> Pipe:
    """The bytes of the program's input."""
    return sys.stdin.buffer  # type: ignore[return-value]  # typeshed's BinaryIO has no read1


class LineReader:
    """Lines of text from a stream of bytes, each one as soon as it is there."""

    def __init__(self, stream: Pipe, limit: int) -> None:
        """`limit`: characters of a line; more are never in memory."""
        self._stream, self._limit = stream, limit
        self._decoder, self._text, self._ended = Decoder(), "", False

    def line(self) -> str:
        """The next line, without its end.

        Raises:
            EOFError: there is none.
            RgmlxError: the line is too long or not UTF-8, and was left out; or the input can't be read or is not text,
                and ends here.
        """
        parts, size, wrong = list[str](), 0, False
        while True:
            piece, end, rest = self._text.partition("\n")
            self._text = rest
            try:
                check(piece)
            except NotText as e:
                wrong = True
                if e.binary:  # of a device it would never end
                    self._ended, self._text = True, ""
                    raise RgmlxError("the input is not text: only text can be sent") from None
            size += len(piece)
            if size < self._limit:
                parts.append(piece)
            if end or not self._more():
                break
        if not end and not size and not wrong:
            raise EOFError
        if wrong:
            raise RgmlxError(LEFT_OUT)
        if size >= self._limit:
            raise RgmlxError(f"a line may have {self._limit:,} characters: this one was left out")
        return "".join(parts)

    def _more(self) -> bool:
        """Waits for text; false at the end of the input."""
        while not self._ended and not self._text:
            try:
                data = self._stream.read1(_CHUNK)
            except OSError as e:
                self._ended = True
                raise RgmlxError(f"the input can't be read: {e.strerror or e}") from None
            self._ended = not data
            self._text = self._decoder.feed(data, final=self._ended)
        return bool(self._text)


def read_all(stream: Pipe, limit: int, name: str) -> str:
    """All text of a stream of bytes.

    Raises:
        RgmlxError: it is not text, longer than `limit` characters, or can't be read; the sentence says so of `name`.
    """
    decoder, parts, size, ended = Decoder(), list[str](), 0, False
    while not ended:
        try:
            data = stream.read1(_CHUNK)
            ended = not data
            parts.append(check(decoder.feed(data, final=ended)))
        except NotText as e:
            raise RgmlxError(f"{name} is {e}") from None
        except OSError as e:
            raise RgmlxError(f"{name} can't be read: {e.strerror or e}") from None
        size += len(parts[-1])
        if size > limit:
            raise RgmlxError(f"{name} has more than {limit:,} characters: give a part of it")
    return "".join(parts)
