"""Text to token ids and back: SentencePiece, or tokenizer.json when there is no tokenizer.model.

Text given by a user never becomes a control token: `<end_of_turn>` typed into a prompt is encoded
as the characters that it consists of. Decoding is incremental, in constant memory, and never shows
half a character.
"""

from __future__ import annotations

import codecs
import hashlib
import operator
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from .errors import TokenizerError
from .system.decoding import decoded
from .system.printable import first_line
from .system.reading import MAX_TOKENIZER, parse_json, present, read_bytes

_BYTE_PIECE = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_SPACE = "\u2581"  # SentencePiece's visible space
_TURN_TOKENS = ("<start_of_turn>", "<end_of_turn>")
_SPECIAL = ("<bos>", "<eos>", "<pad>", "<unk>", "<mask>", *_TURN_TOKENS)
_PART = 65_536  # characters that are encoded at once
_WORD_END = re.compile(r"\w(?= \w)")
_PROBE = " A  \ufb01\n\U0001f98a"  # what other families' normalizers change, and a character in byte pieces


class _Backend(Protocol):
    """What the two kinds of tokenizer files have in common."""

    def encode(self, text: str) -> list[int]: ...
    def piece(self, token: int) -> str: ...
    def id(self, piece: str) -> int | None: ...
    def __len__(self) -> int: ...


class _SentencePiece:
    def __init__(self, path: Path, data: bytes) -> None:
        import sentencepiece

        try:
            self._sp = sentencepiece.SentencePieceProcessor()
            self._sp.LoadFromSerializedProto(data)
            self._sp.id_to_piece(list(range(len(self))))  # every piece is text
        except (OSError, RuntimeError, UnicodeDecodeError):
            raise TokenizerError(f"{path} is not a SentencePiece model: download the model again") from None

    def encode(self, text: str) -> list[int]:
        return self._sp.encode(text)

    def piece(self, token: int) -> str:
        return self._sp.id_to_piece(token)

    def id(self, piece: str) -> int | None:
        token = self._sp.piece_to_id(piece)
        return token if self._sp.id_to_piece(token) == piece else None

    def __len__(self) -> int:
        return self._sp.get_piece_size()


class _TokenizersJson:
    def __init__(self, path: Path, data: bytes) -> None:
        import tokenizers

        try:
            text = decoded(data)
            decoder = parse_json(text).get("decoder")
            self._tokenizer = tokenizers.Tokenizer.from_str(text)
        except Exception as e:  # the Rust library raises plain Exception
            raise TokenizerError(f"{path} can't be read ({first_line(e)}): download the model again") from None
        self._tokenizer.no_truncation()  # some files carry the settings of their training
        self._tokenizer.no_padding()
        try:
            parts = {d.get("type") for d in (decoder or {}).get("decoders", [decoder or {}])}
        except (AttributeError, TypeError):  # of types that the library takes for one of its own
            parts = set()
        if not parts <= {"Replace", "ByteFallback", "Fuse", "Strip"} or "ByteFallback" not in parts:
            raise TokenizerError(
                f"{path} does not decode as Gemma's do (Replace, ByteFallback, Fuse): another model's?"
            )

    def encode(self, text: str) -> list[int]:
        return self._tokenizer.encode(text, add_special_tokens=False).ids

    def piece(self, token: int) -> str:
        return self._tokenizer.id_to_token(token) or ""

    def id(self, piece: str) -> int | None:
        return self._tokenizer.token_to_id(piece)

    def __len__(self) -> int:
        return self._tokenizer.get_vocab_size()


class Tokenizer:
    """A Gemma tokenizer. Ids are plain integers.

    Attributes:
        bos, eos: ids of `<bos>` and `<eos>`.
        start_of_turn, end_of_turn: ids of the turn tokens, None where the vocabulary has none.
        fingerprint: a short hash of the file.
    """

    def __init__(self, path: Path) -> None:
        try:
            data = read_bytes(path, MAX_TOKENIZER)
        except OSError as e:
            raise TokenizerError(f"{path} can't be read: {e.strerror or e}") from None
        kind = _SentencePiece if path.suffix == ".model" else _TokenizersJson
        self._backend: _Backend = kind(path, data)
        self.path = path
        self.fingerprint = hashlib.blake2b(data, digest_size=12).hexdigest()
        bos, eos = self._backend.id("<bos>"), self._backend.id("<eos>")
        if bos is None or eos is None:
            raise TokenizerError(f"{path} has no <bos> and <eos>: it is not a tokenizer of the Gemma family")
        self.bos, self.eos = bos, eos
        self.start_of_turn, self.end_of_turn = (self._backend.id(t) for t in _TURN_TOKENS)
        self.special = frozenset(i for t in _SPECIAL if (i := self._backend.id(t)) is not None)
        # Split after the first character of a control token's spelling, and it can't be matched whole.
        self._literal = re.compile("|".join(re.escape(t) for t in _SPECIAL))
        if self.decode(self.encode(_PROBE)) != _PROBE:
            raise TokenizerError(
                f"{path} does not give a text back unchanged, as Gemma's tokenizers do: it is damaged or another model's"
            )

    @classmethod
    def from_directory(cls, directory: Path) -> Tokenizer | None:
        """The tokenizer of a model directory, or None. `tokenizer.model` comes first.

        Raises:
            TokenizerError: there is one, but it is broken or of another family.
        """
        for name in ("tokenizer.model", "tokenizer.json"):
            if present(directory / name):
                return cls(directory / name)
        return None

    def __len__(self) -> int:
        """Rows that a model must have: a `<mask>` that transformers has appended on saving needs none."""
        size = len(self._backend)
        return size - 1 if self._backend.id("<mask>") == size - 1 else size

    @property
    def stop_ids(self) -> frozenset[int]:
        """Ids that end a reply: `<eos>` and `<end_of_turn>`."""
        return frozenset(i for i in (self.eos, self.end_of_turn) if i is not None)

    def encode(self, text: str) -> list[int]:
        """Ids of the text alone; control tokens spelled out in it stay text."""
        # A lone surrogate (half a pasted emoji) has no UTF-8 form.
        text = text.encode("utf-8", "replace").decode("utf-8")
        ids: list[int] = []
        start = 0
        for match in self._literal.finditer(text):
            ids += self._encode(text[start : match.start() + 1])
            start = match.start() + 1
        return ids + self._encode(text[start:])

    def _encode(self, text: str) -> list[int]:
        """Ids of a text without control tokens, a part at a time: SentencePiece takes a kilobyte for a character."""
        ids: list[int] = []
        start = 0
        while len(text) - start > _PART:
            # No piece reaches over the space before a word; where there is no such place, the cut adds a token or two.
            found = _WORD_END.search(text, start + _PART // 2, start + _PART)
            end = found.end() if found else start + _PART
            ids += self._backend.encode(text[start:end])
            start = end
        return ids + self._backend.encode(text[start:])

    def decode(self, ids: Iterable[int]) -> str:
        """The text of the ids; control tokens have none."""
        detokenizer = Detokenizer(self)
        return "".join(map(detokenizer.add, ids)) + detokenizer.finish()

    def token_bytes(self, token: int) -> bytes:
        """The UTF-8 bytes that a token stands for; none for control tokens and unknown ids."""
        if token in self.special or not 0 <= token < len(self._backend):
            return b""
        piece = self._backend.piece(token)
        if match := _BYTE_PIECE.fullmatch(piece):
            return bytes([int(match[1], 16)])
        return piece.replace(_SPACE, " ").encode()


class Detokenizer:
    """Turns a stream of ids into a stream of text. Holds at most three bytes back."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def add(self, token: int) -> str:
        """The text that this token completes; "" while a character is still incomplete."""
        return self._decoder.decode(self._tokenizer.token_bytes(token))

    @property
    def pending(self) -> bool:
        """Whether a character has begun that is not whole yet."""
        return bool(self._decoder.getstate()[0])

    def finish(self) -> str:
        """What is left at the end: a replacement character if a character was cut off."""
        text = self._decoder.decode(b"", final=True)
        self._decoder.reset()
        return text


def turn_ids(tokenizer: Tokenizer, text: str, system: str | None = None) -> list[int]:
    """`<start_of_turn>user ... <end_of_turn>`, `<start_of_turn>model`: a user turn, ready for the reply.

    Gemma has no system role, so a system text goes in front of the (first) user turn. As in
    Gemma's chat template the text is stripped.

    Raises:
        TokenizerError: the vocabulary has no turn tokens (a base model's tokenizer always does).
    """
    body = "\n\n".join(part.strip() for part in (system, text) if part and part.strip())
    return [*open_turn_ids(tokenizer, body), *close_turn_ids(tokenizer, "")]


def open_turn_ids(tokenizer: Tokenizer, text: str) -> list[int]:
    """The beginning of a user turn, which more text may follow. Raises TokenizerError as `turn_ids`."""
    start, _ = _turn_tokens(tokenizer)
    return [start, *tokenizer.encode(f"user\n{text}")]


def close_turn_ids(tokenizer: Tokenizer, text: str) -> list[int]:
    """The rest of an open user turn, ready for the reply. Raises TokenizerError as `turn_ids`."""
    start, end = _turn_tokens(tokenizer)
    return [*tokenizer.encode(text), end, *tokenizer.encode("\n"), start, *tokenizer.encode("model\n")]


def between_turns(tokenizer: Tokenizer, closed: bool) -> list[int]:
    """What stands between a reply and the next user turn; `closed` if the reply ended itself."""
    _, end = _turn_tokens(tokenizer)
    return ([] if closed else [end]) + tokenizer.encode("\n")


def reply_ids(tokenizer: Tokenizer, text: str, *, opened: bool, closed: bool) -> list[int]:
    """A reply that was not written here: `opened` if the user's turn before it has begun the model's."""
    start, end = _turn_tokens(tokenizer)
    opening = [] if opened else [start, *tokenizer.encode("model\n")]
    return [*opening, *tokenizer.encode(text), *([end] if closed else [])]


def _turn_tokens(tokenizer: Tokenizer) -> tuple[int, int]:
    if tokenizer.start_of_turn is None or tokenizer.end_of_turn is None:
        raise TokenizerError(f"{tokenizer.path} has no turn tokens: this model can complete text (raw), but not chat")
    return tokenizer.start_of_turn, tokenizer.end_of_turn


def as_ids(prompt: str | Sequence[int], tokenizer: Tokenizer, *, raw: bool, fresh: bool = True) -> list[int]:
    """A prompt as ids: ids as they are, text as a user turn, or as plain text when `raw`.

    `fresh`: nothing has been read before, so that `<bos>` comes first.
    """
    if not isinstance(prompt, str):
        try:
            if isinstance(prompt, (bytes, bytearray, set, frozenset, dict)):
                raise TypeError
            return [operator.index(i.item() if hasattr(i, "item") else i) for i in prompt]
        except (TypeError, ValueError):
            shown = repr(prompt)
            raise TokenizerError(f"a prompt is a text or a list of token ids, not {shown}", quotes=(shown,)) from None
    if not raw and not prompt.strip():
        raise TokenizerError("the prompt is empty: say something, or pass token ids")
    start = [tokenizer.bos] if fresh else []
    return [*start, *(tokenizer.encode(prompt) if raw else turn_ids(tokenizer, prompt))]
