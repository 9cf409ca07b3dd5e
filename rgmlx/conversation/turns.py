"""Turns of a conversation: as token ids, and in a file together with what the model remembers of them.

Knows Gemma's turn format and the `.rgstate` file; neither how turns are written nor where else they are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ..errors import ChatError, RgmlxError
from ..generation.sampling import make_sampling
from ..griffin.state import Owner, State, load_states, save_states, whole
from ..settings import DRAWING, checked_budget
from ..tokenizer import Tokenizer, between_turns, reply_ids, turn_ids

USER, MODEL = "user", "model"
NOW = "now"
"""The name of the point a saved chat stands at; the others are named by the turn that they stand before."""
_FIELDS = ("turns", "unread", "system", "sampling", "max_tokens")


@dataclass(frozen=True)
class Turn:
    """One message. `closed` is false for a reply that was cut short by a stop or a budget."""

    role: str
    text: str
    closed: bool = True


@dataclass(frozen=True)
class CachedState:
    """Where a model stands in a conversation: a state, and ids that it has yet to read."""

    state: State
    unread: tuple[int, ...] = ()

    def copy(self) -> CachedState:
        """The same point, which stays when this one's state moves on. Shares memory until then."""
        return CachedState(self.state.copy(), self.unread)


class AnyTurn(Protocol):
    """What is asked of a turn here."""

    @property
    def role(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def closed(self) -> bool: ...


def ids_of(tokenizer: Tokenizer, turn: AnyTurn, before: AnyTurn | None, system: str | None = None) -> list[int]:
    """What a model that has read all up to `before` (None: nothing) reads of the next turn.

    After a user's turn everything is ready for the reply. A reply's text may split into other ids than those
    that were sampled.

    Raises:
        TokenizerError: the vocabulary has no turn tokens.
    """
    start = [tokenizer.bos] if before is None else between_turns(tokenizer, before.role == MODEL and before.closed)
    if turn.role == USER:
        return [*start, *turn_ids(tokenizer, turn.text, system if before is None else None)]
    if before is not None and before.role == USER:
        start = []  # the user's turn has opened this one
    return start + reply_ids(tokenizer, turn.text, opened=not start, closed=turn.closed)


@dataclass(frozen=True)
class SavedChat:
    """A conversation as it is in a `.rgstate` file.

    Attributes:
        cached: what the model remembers, by `NOW` and by the numbers of turns, as text.
        max_tokens: after how many tokens a reply stops; None for no limit.
    """

    turns: tuple[Turn, ...]
    cached: Mapping[str, CachedState]
    system: str | None
    sampling: Mapping[str, Any]
    max_tokens: int | None = None

    def write(self, path: str | Path) -> None:
        """Writes the file, atomically.

        Raises:
            StateError: the file can't be written; what was there before is unchanged.
        """
        chat = {
            "turns": [[t.role, t.text, t.closed] for t in self.turns],
            "unread": {key: cached.unread for key, cached in self.cached.items()},
            "system": self.system,
            "sampling": dict(self.sampling),
            "max_tokens": self.max_tokens,
        }
        save_states(path, {key: cached.state for key, cached in self.cached.items()}, {"chat": chat})

    @classmethod
    def read(cls, path: str | Path, model: Owner) -> SavedChat:
        """Reads a file that `write` made with the same model.

        Raises:
            StateError: the file is damaged, or was saved with another model.
            ChatError: the file holds a state without a chat, or one with fields that only a newer rgmlx knows.
        """
        states, extra = load_states(path, model)
        try:
            saved = extra["chat"]
            unread, system, sampling = saved["unread"], saved["system"], saved["sampling"]
            if unknown := [*(saved.keys() - set(_FIELDS)), *(sampling.keys() - DRAWING.keys())]:
                raise ChatError(
                    f"{path} was written by a newer rgmlx, which knows '{min(unknown)}': update rgmlx to read it"
                )
            if not all(whole(unread[key], model.config.vocab_size) and s.batch_size == 1 for key, s in states.items()):
                raise ValueError
            if not isinstance(system, str | None):
                raise ValueError
            cached = {key: CachedState(state, tuple(unread[key])) for key, state in states.items()}
            turns = tuple(_turn(*turn) for turn in saved["turns"])
            settings = vars(make_sampling(sampling))
            budget = checked_budget(saved.get("max_tokens"))  # files of earlier versions have none
            return cls(turns, {NOW: cached[NOW], **cached}, system, settings, budget)
        except ChatError:
            raise
        except RgmlxError as e:
            raise ChatError(f"{path} is not a saved chat ({e})") from None
        except (KeyError, TypeError, ValueError, AttributeError):
            raise ChatError(f"{path} is not a saved chat") from None


def _turn(role: Any, text: Any, closed: Any) -> Turn:
    if role not in (USER, MODEL) or not isinstance(text, str) or not isinstance(closed, bool):
        raise ValueError
    return Turn(role, text, closed)
