"""Keys in their order, in a field that one types in, however fast they come.

Knows Textual's way of a key: what is typed is the focused widget's, but what a binding does is left to the app, which gets
the key on its way up, and may be busy. Meanwhile the next letter would be put in before Home has moved the cursor.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from textual import events
from textual.message_pump import MessagePump
from textual.widgets import Input, TextArea

SECONDS = 10.0
"""For so long at most a key waits for those before it: a path that was dropped may be on a disk that never answers."""


async def handle(field: Input | TextArea, event: events.Key, type_in: Callable[[events.Key], Awaitable[None]]) -> None:
    """Does what a key means in a field at once; what it means elsewhere, before the next key.

    Args:
        type_in: takes a key that is text, as Textual's field does, and no other.
    """
    if field.screen not in field.app.screen_stack:  # it was left before this key
        pass
    elif await _acted(field, event.key):
        field._restart_blink()
    else:
        await type_in(event)
        if event._no_default_action:  # it was text
            return
        if event.key == "escape":
            field.screen.clear_selection()
        field.app.call_next(field.app._check_bindings, event.key)
    event.prevent_default()
    event.stop()


async def _acted(field: Input | TextArea, key: str) -> bool:
    for binding in field._bindings.key_to_bindings.get(key, ()):
        if not binding.action.startswith("app.") and await field.app.run_action(binding.action, field):
            return True
    return False


async def wait_for_keys(*nodes: MessagePump) -> None:
    """Waits until all keys that a widget was given are handled, and what it told the next; from another widget's task."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SECONDS):
            for node in nodes:
                handled = asyncio.Event()
                if node.call_later(handled.set):
                    await handled.wait()
