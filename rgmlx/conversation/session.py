"""The open conversation of a screen: over a file of conversations, with a model that is loaded by name.

Knows nothing of widgets. What changes the conversation (`add_user_message`, `checkout`, `edit`; see `opened`) may be called from the screen;
what needs the model (`load`, and see `replies`) takes its time and belongs into a worker thread, one at a time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError, ModelNotFoundError, RgmlxError
from ..store import MODEL, Store, StoreError
from ..system.device import named
from ..system.formatting import sentence
from ..system.paths import is_utf8
from .replies import ReplySession
from .runs import OpenConversation

if TYPE_CHECKING:
    from .context import Horizon
    from .titles import TitleRun


class Session(ReplySession):
    """The open conversation with one model.

    Attributes:
        origins: by a model's name the file that says it, of names that nobody has typed.
    """

    store: Store

    def __init__(
        self,
        store: Store,
        name: str = "demo",
        *,
        system: str | None = None,
        sampling: Mapping[str, Any] | None = None,
    ) -> None:
        """`system`, `sampling`: of new conversations; the second also of one that is opened, where it says nothing."""
        super().__init__(store, name, system=system, sampling=sampling)
        self.origins: dict[str, str] = {}
        self._wired = contextlib.ExitStack()  # keeps the model's weights in memory between replies, too

    def close(self) -> None:
        super().close()
        self._wired.close()

    @property
    def ready(self) -> bool:
        """Whether a model is loaded."""
        return self.context is not None

    # --- with the model: in a worker ------------------------------------------------------

    def load(self, name: str | None = None, progress: Callable[[int, int], None] | None = None) -> None:
        """Loads a model, downloading it first where it is not there.

        Args:
            progress: told (bytes, bytes in all) of a download.

        Raises:
            RgmlxError: there is no such model, or it can't chat; the one so far stays.
        """
        import rgmlx

        from ..errors import warnings_told
        from ..weights.download import fetch

        name, opened = name or self.name, self._opened
        if not is_utf8(name):
            raise RgmlxError(f"the name {name} is not UTF-8, which a conversation can't keep: rename the directory")
        self._begin_work()
        try:
            fetch(name, progress or (lambda done, total: None), self._cancel.is_set)
            with (
                named(),  # the first import of the network may compute
                warnings_told(lambda text: self._notice(sentence(text))),  # at once: one is that it will be slow
            ):
                from ..generation.wired import wired
                from .context import Context

                context = Context(rgmlx.load(name), self.store)
        except (ModelNotFoundError, ConfigError) as e:  # whoever did not type the name has to know where it is from
            if opened.row is not None and opened.row.model == name:
                raise type(e)(f"this conversation's model can't be loaded: {e}") from None
            if name in self.origins:
                raise type(e)(f"{self.origins[name]}: {e}") from None
            raise
        self._wired.close()
        self._wired.enter_context(wired(context.model))
        self.context, self.name = context, name
        if opened.row is not None and opened.row.model != name and not self.store.read_only:
            self.store.conversations.set_model(opened.row.id, name)
        self.measure()

    # --- titles ---------------------------------------------------------------------------

    def title_run(self) -> TitleRun | None:
        """What makes a title of the open conversation; None where it has one that is more than its first words, or nothing
        was said yet."""
        opened, context, head = self._opened, self.context, self._opened.head
        if context is None or head is None or opened.row is None or head.role != MODEL or self._run is not None:
            return None
        if opened.first_words != opened.row.title or opened.peeking or self.store.read_only or not self.in_sync:
            return None
        from .titles import TitleRun

        return TitleRun(context, opened, head)

    def keep_title(self, opened: OpenConversation, title: str) -> bool:
        """Gives a conversation a title that was made of it; "" is none. No other is made. From any thread.

        Returns:
            False where it has another one by now.
        """
        if opened.row is None or opened.first_words is None:
            return False
        before, opened.first_words = opened.first_words, None
        with contextlib.suppress(StoreError):  # nobody has asked for it
            return bool(title) and self.store.conversations.retitle(opened.row.id, before, title)
        return False

    def horizon_while_writing(self) -> Horizon | None:
        """The same during a reply, as far as it is on the disk. From any thread."""
        run = self._run
        if self.context is None or run is None or (writer := run.writer) is None:
            return None
        return self.context.horizon(writer.message.id, self.metrics.position)

    def so_far(self, chars: int) -> tuple[str, int] | None:
        """The running reply, as far as it was delivered; None once it has ended. From any thread.

        Returns:
            About so many of its last characters at least; and how many it was delivered since it began, or went on.
        """
        run = self._run
        if run is None:
            return None
        if run.writer is not None:
            return run.writer.so_far(chars)
        return (run.message.text if run.message is not None else ""), 0
