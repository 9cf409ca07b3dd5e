"""The conversation behind the screen: loads the model, keeps the chat on disk, writes replies.

Everything here runs in worker threads and knows nothing of widgets. A prompt is on disk before its
reply starts; a reply is saved every few seconds (each second for a small model), and when it ends, is
stopped or the app is left. A conversation that another chat has open is left to that one.
"""

from __future__ import annotations

import fcntl
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import platformdirs

from rgmlx.chat import USER
from rgmlx.errors import ChatError, RgmlxError, StateError

if TYPE_CHECKING:
    from rgmlx.chat import Chat, Reply, Turn
    from rgmlx.model import Model

DISK_RATE = 5e6  # bytes a second that saving a running reply may write; never more than once a second


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
        file: Path | None = None,
    ) -> None:
        """`data`: the directory of conversations. `file`: open this one instead of the model's usual one."""
        self.name = name
        self.notice = ""
        self.reading: tuple[int, int] | None = None  # tokens read of a long message, and in all
        self._directory = data or platformdirs.user_data_path("rgmlx", appauthor=False) / "rgchat"
        slug = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "model"
        self.path = file or self._directory / f"{slug}.rgstate"  # keeps this conversation
        self._system, self._sampling, self._new = system, sampling or {}, new
        self._lock: IO[bytes] | None = None
        self._model: Model | None = None
        self._chat: Chat | None = None

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

    def claim(self) -> None:
        """Takes the conversation's file for this process, or the next free one beside it.

        Raises:
            RgmlxError: conversations can't be kept there; the sentence says how to choose another place.
        """
        first = self.path
        for number in range(1, 100):
            self.path = first if number == 1 else first.with_name(f"{first.stem}-{number}{first.suffix}")
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                lock = self.path.with_name(f".{self.path.name}.lock").open("wb")
            except OSError as e:
                raise RgmlxError(
                    f"conversations can't be kept in {self.path.parent} ({e.strerror}): name another directory with --data"
                ) from None
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # ends with the process, however it ends
            except OSError:
                lock.close()
                continue
            self._lock = lock
            if number > 1:
                self.notice = f"Another rgchat has the conversation {first.stem} open: this one is {self.path.stem}."
            return
        raise RgmlxError(f"a hundred chats are open in {first.parent}: close one")

    def close(self) -> None:
        """Lets another chat have the conversation."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def load(self) -> None:
        """Loads the model and the kept conversation. Raises RgmlxError."""
        import rgmlx

        if self._lock is None:
            self.claim()
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
        if self.turns and self.turns[-1].role == USER:
            self.notice = "Your last message has no reply yet: Ctrl+R writes one."
        if self._chat is None:
            self._chat = self._model.chat(self._system, **self._sampling)
        elif self._sampling:
            self._chat.set_sampling(self._sampling)

    def start_over(self) -> Path | None:
        """Begins a new conversation; the one so far is set aside, under the path that comes back."""
        assert self._model is not None
        kept = None
        if self.turns:
            self._save()
            kept = self._set_aside("earlier")
        self._chat = self._model.chat(self._system, **self._sampling)
        return kept

    def send(self, text: str) -> Iterator[str]:
        """Sends a message; yields the reply piece by piece. Raises RgmlxError."""
        assert self._chat is not None
        return self._follow(self._chat.send(text, progress=self._progress))

    def regenerate(self) -> Iterator[str]:
        """Writes the last reply anew; yields it piece by piece. Raises RgmlxError."""
        assert self._chat is not None
        return self._follow(self._chat.regenerate())

    def stop(self) -> None:
        """Stops the running reply, from any thread."""
        if self._chat is not None:
            self._chat.stop()

    def _progress(self, done: int, total: int) -> None:
        self.reading = (done, total) if done < total else None

    def _follow(self, reply: Reply) -> Iterator[str]:
        self._save()
        saved = time.monotonic()
        assert self._chat is not None
        every = max(1.0, 3 * self._chat.state_nbytes / DISK_RATE)  # a chat's file holds three states
        try:
            for piece in reply:
                yield piece
                if time.monotonic() - saved > every:
                    self._save()
                    saved = time.monotonic()
        finally:
            self.reading = None
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
