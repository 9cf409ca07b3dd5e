"""A model's vocabulary as llguidance reads it: the bytes of each token, and the ids that end a reply.

A piece stands for the same bytes wherever it is: `▁Yes` for " Yes" at the beginning of a reply, too, and a byte piece for
its byte. So what a grammar allows is what the reader gets, to the byte.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from llguidance import LLMatcher, LLParserLimits, LLTokenizer, TokenizerWrapper
from numpy.typing import NDArray

from ...errors import ConstraintError
from ...tokenizer import Tokenizer
from .matcher import Constraint


class _Pieces:
    """A tokenizer with the members that llguidance asks for. Control tokens have no bytes: no grammar can name one."""

    special_token_ids: tuple[int, ...] = ()

    def __init__(self, tokenizer: Tokenizer, size: int) -> None:
        self._tokenizer = tokenizer
        self.bos_token_id, self.eos_token_id = tokenizer.bos, tokenizer.eos
        self.tokens = [tokenizer.token_bytes(i) for i in range(size)]

    def __call__(self, text: str) -> list[int]:
        return self._tokenizer.encode(text)


class Vocabulary:
    """The tokens of a model. Made once: it takes some microseconds a token.

    Attributes:
        size: the width of the logits.
    """

    def __init__(self, tokenizer: Tokenizer, size: int, stop_ids: Collection[int]) -> None:
        """`size`: ids behind the tokenizer's own are padding, and stand for nothing."""
        pieces = _Pieces(tokenizer, size)
        stops = sorted(i for i in stop_ids if i < size)
        self.size = size
        self._tokens = LLTokenizer(TokenizerWrapper(pieces), eos_token=stops)
        self._stops = _bits(stops, size)
        self._text = _bits([i for i, piece in enumerate(pieces.tokens) if piece], size) & ~self._stops

    def compile(self, grammar: str, what: str) -> Constraint:
        """The constraint of a grammar in llguidance's Lark.

        Args:
            what: what it was made of, for a sentence.

        Raises:
            ConstraintError: with llguidance's reason, or nothing can be written.
        """
        parser = LLMatcher(self._tokens, grammar, log_level=0, limits=LLParserLimits(verbose_errors=False))
        if parser.is_error():
            why = _reason(parser.get_error())
            raise ConstraintError(f"{what} can't be used: {why}", quotes=(why,))
        return Constraint(parser, self._text, self._stops, self.size, what)


def _reason(error: str) -> str:
    """Why llguidance refuses a grammar, in a sentence: the cause alone, without what it shows of the grammar."""
    if error.startswith("panic"):
        return "it names a token that the model does not have, or is nothing that can be read"
    lines = [line.strip() for line in error.splitlines() if line.strip()]
    cause = next((line.removeprefix("error: ") for line in lines if line.startswith("error: ")), "")
    if not cause:
        cause = lines[0] if lines else "it can't be read"
        place, colon, rest = cause.partition(": ")
        if colon and place.startswith("at "):
            line = place.removeprefix("at ").partition("(")[0]
            cause = rest if rest.startswith("failed to compile JSON schema") else f"{rest} (line {line})"
        cause = cause.removeprefix("failed to compile JSON schema: ")
    return cause


def _bits(ids: Collection[int], size: int) -> NDArray[np.uint8]:
    """The ids as bits, uint8, the lowest first; whole words of 32, as llguidance's masks are."""
    flags = np.zeros(-(-size // 32) * 32, np.bool_)
    flags[list(ids)] = True
    return np.packbits(flags, bitorder="little")
