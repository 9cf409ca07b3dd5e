"""A model that answers many conversations at once, and one that goes on without an end.

Knows tokens and states; what is asked and whether it is right stands elsewhere.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import rgmlx
from rgmlx.conversation import turns
from rgmlx.generation import engine

from .cases import Turn

BATCH = 32


class Model:
    """A model by its directory, or "demo"."""

    def __init__(self, path: str) -> None:
        self._model = rgmlx.load(path)
        self._tokenizer = self._model.text_tokenizer()
        self._stop = self._model.config.eos_token_ids

    @property
    def sampling(self) -> rgmlx.Sampling:
        """Its own."""
        return self._model.sampling

    @property
    def window(self) -> int:
        """Tokens that its attention sees."""
        return self._model.config.attention_window_size + 1

    @property
    def digest(self) -> str:
        """Of its weights, to tell one training from another."""
        digest = hashlib.sha256()
        for file in sorted(self._model.directory.glob("*.safetensors")) if self._model.directory else []:
            with file.open("rb") as content:
                while part := content.read(2**20):
                    digest.update(part)
        return digest.hexdigest()[:12]

    def size(self, said: Sequence[Turn]) -> int:
        """Tokens of turns in a conversation."""
        return len(self._ids(said))

    def length(self, text: str) -> int:
        """Tokens of a text."""
        return len(self._tokenizer.encode(text))

    def answers(
        self, conversations: Sequence[Sequence[Turn]], longest: int, ways: Sequence[rgmlx.Sampling]
    ) -> list[list[str]]:
        """What it says to the last message of each conversation, whose other answers are the given ones, in each way.

        A conversation is read once, whatever the number of ways.
        """
        found = [[""] * len(ways) for _ in conversations]
        prompts = [self._ids(said, answered=False) for said in conversations]
        order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
        for start in range(0, len(order), BATCH):
            some = order[start : start + BATCH]
            state = self._model.new_state(len(some))
            engine.prefill(self._model, state, [prompts[i][:-1] for i in some])
            for way, sampling in enumerate(ways):
                tokens: list[list[int]] = [[] for _ in some]
                last = [prompts[i][-1:] for i in some]
                for row, token in engine.generate_batch(
                    self._model, state.copy(), last, sampling=sampling, max_tokens=longest, stop_ids=self._stop
                ):
                    tokens[row].append(token)
                for i, ids in zip(some, tokens, strict=True):
                    found[i][way] = self._tokenizer.decode(ids).strip()
        return found

    def reply(self, message: str, longest: int, sampling: rgmlx.Sampling) -> str:
        """What it says to a first message. Other seeds, other words."""
        return self.text(self._written(message, longest, 0, sampling)).strip()

    def endless(self, message: str, count: int, sampling: rgmlx.Sampling) -> list[int]:
        """So many tokens of a reply that may not end, as `/endless` writes it."""
        return self._written(message, count, math.inf, sampling)

    def _written(self, message: str, most: int, least: float, sampling: rgmlx.Sampling) -> list[int]:
        prompt = turns.ids_of(self._tokenizer, turns.Turn(turns.USER, message), None)
        state = self._model.new_state()
        run = engine.Generation(
            *(self._model, state, prompt),
            sampling=sampling,
            max_tokens=most,
            min_tokens=least,
            stop_ids=self._stop,
            between=(self._model.stop_ids, self.ids("\n\n")) if least else ((), ()),
        )
        return list(run)

    def text(self, ids: Sequence[int]) -> str:
        return self._tokenizer.decode(list(ids))

    def ids(self, text: str) -> list[int]:
        return self._tokenizer.encode(text)

    def _ids(self, said: Sequence[Turn], answered: bool = True) -> list[int]:
        """`answered` False: without the last answer, which is to be written."""
        pairs = [((turns.USER, turn.user), (turns.MODEL, turn.model)) for turn in said]
        messages = [turns.Turn(role, text) for pair in pairs for role, text in pair][: None if answered else -1]
        parts = zip([None, *messages], messages, strict=False)
        return [token for before, turn in parts for token in turns.ids_of(self._tokenizer, turn, before)]
