"""The conversation behind the screen: loads the model, keeps the chat on disk, writes replies.

Everything here runs in worker threads and knows nothing of widgets. A prompt is on disk before its
reply starts; a reply is saved every ten seconds, and when it ends, is stopped or the app is left.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs

from rgmlx.errors import ChatError, StateError

if TYPE_CHECKING:
    from rgmlx.chat import Chat, Reply, Turn
    from rgmlx.model import Model

SAVE_EVERY = 10.0  # seconds between saves of a reply that is being written


@dataclass(frozen=True)
class Gauges:
    """Numbers for the status line."""

    state_bytes: int
    position: int  # tokens that the model has read and written
    prefilled: int  # of these, tokens read from prompts since the start


class Session:
    """One conversation with one model.

    Attributes:
        name: the model's name, as given.
        notice: something the user should know after loading, or "".
    """

    def __init__(
        self,
        name: str,
        data: Path | None = None,
        *,
        system: str | None = None,
        sampling: dict[str, Any] | None = None,
        new: bool = False,
    ) -> None:
        self.name = name
        self.notice = ""
        self._directory = data or platformdirs.user_data_path("rgmlx", appauthor=False) / "rgchat"
        self._system, self._sampling, self._new = system, sampling or {}, new
        self._model: Model | None = None
        self._chat: Chat | None = None

    @property
    def path(self) -> Path:
        """The file that keeps this model's conversation."""
        return self._directory / f"{re.sub(r'[^A-Za-z0-9._-]+', '-', self.name).strip('-.') or 'model'}.rgstate"

    @property
    def ready(self) -> bool:
        return self._chat is not None

    @property
    def turns(self) -> tuple[Turn, ...]:
        return self._chat.turns if self._chat else ()

    @property
    def gauges(self) -> Gauges | None:
        chat = self._chat
        return Gauges(chat.state_nbytes, chat.position, chat.prefilled_tokens) if chat else None

    def load(self) -> None:
        """Loads the model and the kept conversation. Raises RgmlxError."""
        import rgmlx

        self._model = rgmlx.load(self.name)
        if self.path.is_file():
            if self._new:
                self._set_aside("earlier")
            else:
                try:
                    self._chat = rgmlx.Chat.load(self.path, self._model)
                except (StateError, ChatError) as e:
                    kept = self._set_aside("unreadable")
                    self.notice = f"The last conversation could not be opened ({e}). It is kept as {kept}."
        if self._chat is None:
            self._chat = self._model.chat(self._system, **self._sampling)
        elif self._sampling:
            self._chat.set_sampling(self._sampling)

    def start_over(self) -> None:
        """Begins a new conversation; the one so far is set aside."""
        assert self._model is not None
        if self.turns:
            self._save()
            self._set_aside("earlier")
        self._chat = self._model.chat(self._system, **self._sampling)

    def send(self, text: str) -> Iterator[str]:
        """Sends a message; yields the reply piece by piece. Raises RgmlxError."""
        assert self._chat is not None
        return self._follow(self._chat.send(text))

    def regenerate(self) -> Iterator[str]:
        """Writes the last reply anew; yields it piece by piece. Raises RgmlxError."""
        assert self._chat is not None
        return self._follow(self._chat.regenerate())

    def stop(self) -> None:
        """Stops the running reply, from any thread."""
        if self._chat is not None:
            self._chat.stop()

    def _follow(self, reply: Reply) -> Iterator[str]:
        self._save()
        saved = time.monotonic()
        try:
            for piece in reply:
                yield piece
                if time.monotonic() - saved > SAVE_EVERY:
                    self._save()
                    saved = time.monotonic()
        finally:
            self._save()

    def _save(self) -> None:
        if self._chat is not None:
            self._chat.save(self.path)

    def _set_aside(self, why: str) -> Path:
        """Renames the kept file, so that nothing is lost; returns its new path."""
        stamp = time.strftime("%Y%m%d-%H%M%S")
        target = self.path.with_suffix(f".{why}-{stamp}.rgstate")
        number = 1
        while target.exists():
            number += 1
            target = self.path.with_suffix(f".{why}-{stamp}-{number}.rgstate")
        self.path.rename(target)
        return target
