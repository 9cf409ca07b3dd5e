"""For tests: waits for what must happen. The machine may be slow or busy, so that only a fault reaches the end."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from typing import Any, ClassVar

from textual._context import active_app
from textual._queue import Queue
from textual.app import App
from textual.message import Message
from textual.message_pump import MessagePump
from textual.pilot import Pilot
from textual.screen import Screen

PATIENCE = float(os.environ.get("PATIENCE", 300))
"""Seconds after which something is taken for something that will never happen. Fewer while one writes a test."""


async def wait_until(fact: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Waits for something to become true, while the app goes on; fails when it does not."""
    end = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < end, "it did not happen in time"
        await asyncio.sleep(0.02)


def wait_for(
    fact: Callable[[], object], seconds: float = PATIENCE, *, about: Callable[[], object] = lambda: ""
) -> None:
    """The same outside of an event loop; `about` is what the failure says."""
    end = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < end, f"it did not happen in time: {about()!r}"
        time.sleep(0.02)


class WatchedQueue(Queue[Any]):
    """A widget's messages, of which one knows whether the last is dealt with.

    Attributes:
        moves: of messages, in all queues: as long as there are no more, a widget that was at rest still is.
    """

    moves: ClassVar[int] = 0
    in_hand = False

    def put_nowait(self, value: Any) -> None:
        WatchedQueue.moves += 1
        super().put_nowait(value)

    def task_done(self) -> None:
        self.in_hand = False


_get_message = MessagePump._get_message


async def get_watched_message(pump: MessagePump) -> Message:
    """In place of Textual's: it takes a message from the queue, or one that it has taken before and looked at only."""
    message = await _get_message(pump)
    WatchedQueue.moves += 1
    pump._message_queue.in_hand = True  # type: ignore[attr-defined]
    return message


def at_rest(pump: MessagePump) -> bool:
    """Whether all messages are dealt with."""
    queue = pump._message_queue
    return not (queue.values or queue.in_hand or pump._pending_message)  # type: ignore[attr-defined]


async def until_idle(min_sleep: float = 0.0, max_sleep: float = 1.0) -> None:
    """Waits until every widget has dealt with all of its messages: what Textual's pilot does after each key.

    Textual itself looks at the processor time of the last 20 ms, which says nothing where other programs take turns with
    this one. A widget that waits in a message of its own (for an answer, say) is left alone after a while, and so is a
    screen that never comes to rest.

    Args:
        min_sleep: as Textual gives it; of no use here.
        max_sleep: seconds of this thread's own time after which a screen is left alone that is still at work: on a busy
            machine a second of the clock may be none of ours.
    """
    app = active_app.get()
    end, before, same, quiet = time.thread_time() + max(max_sleep, 1.0), set[Any](), 0, 0
    moves = -1
    never = time.monotonic() + PATIENCE / 4
    while quiet < _ROUNDS and same < _STUCK and time.thread_time() < end and time.monotonic() < never:
        if before or moves != WatchedQueue.moves:
            moves = WatchedQueue.moves
            busy = {pump for pump in _pumps(app) if not at_rest(pump)}
        quiet = 0 if busy else quiet + 1
        same = same + 1 if busy and busy == before else 0
        before = busy
        if not busy and app.screen_stack and _to_draw(app.screen):
            quiet = 0
            app.screen._on_timer_update()  # else a sixtieth of a second later
        await asyncio.sleep(0 if same < _ROUNDS else 0.02)


def _pumps(app: App[Any]) -> list[MessagePump]:
    """The app, and all widgets on its screens."""
    return [app, *(pump for screen in app.screen_stack for pump in screen.walk_children(with_self=True))]


_wait_for_screen = Pilot._wait_for_screen


async def wait_for_screen(pilot: Pilot[Any], timeout: float = 30.0) -> bool:
    """In place of the pilot's, which sends a message to each widget of the screen and waits until the last has it."""
    app = pilot.app
    if (
        app._exception is None
        and app.screen_stack
        and all(p._mounted_event.is_set() and at_rest(p) for p in _pumps(app))
    ):
        return True
    return await _wait_for_screen(pilot, timeout)


def _to_draw(screen: Screen[Any]) -> bool:
    """Whether anything has changed that is not on the screen yet."""
    required = screen._layout_required or screen._scroll_required or screen._repaint_required
    return bool(required or screen._recompose_required or screen._dirty_widgets or screen._callbacks)


_ROUNDS = 8  # of the event loop without a message, before it is said that there is none: one may be on its way
_STUCK = 20
