"""Titles of conversations, made by the model while it has nothing else to do, and called off as soon as it has.

Knows the session and the model's thread; not when the model is free. What the user has given a title keeps it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rgmlx.conversation.session import Session
from rgmlx.system import debug_log

if TYPE_CHECKING:
    from rgmlx.conversation.titles import TitleRun

EMBEDDED = "demo"
"""A model that is too small for it: asked for a title it tells how /rename gives one."""


def makes_titles(wanted: bool | None, model: str) -> bool:
    """Whether titles are made. `wanted`: what the user says, None for nothing."""
    return model != EMBEDDED if wanted is None else wanted


class TitleMaker:
    """Makes titles, one at a time."""

    def __init__(
        self, session: Session, submit: Callable[[Callable[[], None]], object], done: Callable[[], object]
    ) -> None:
        """
        Args:
            submit: has something done in the model's thread.
            done: told there that a conversation has another title.
        """
        self._session, self._submit, self._done = session, submit, done
        self._run: TitleRun | None = None

    def begin(self, wanted: bool | None) -> None:
        """Has a title made where the open conversation has none but its first words.

        Args:
            wanted: whether titles are made; None: not by the embedded model.
        """
        if self._run is not None or not makes_titles(wanted, self._session.name):
            return
        run = self._session.title_run()
        if run is not None:
            self._run = run
            self._submit(lambda: self._make(run))

    def stop(self) -> None:
        """Calls off what is being made; it is tried again after the next reply."""
        run = self._run  # which ends in another thread
        if run is not None:
            run.stop()

    def _make(self, run: TitleRun) -> None:
        title = ""
        try:
            title = run.make()
        except Exception as e:  # a title is no reason for a sentence
            debug_log.caught(e, "no title was made")
        if not run.stopped and self._session.keep_title(run.opened, title):
            self._done()
        self._run = None
