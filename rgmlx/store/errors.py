"""The errors of the store, and those of their sentences that are said in several places.

As with all of ours, the text is a sentence that can be shown as it is.
"""

from __future__ import annotations

from pathlib import Path

from ..errors import RgmlxError


class StoreError(RgmlxError, RuntimeError):
    """Conversations that can't be read or written, or a request that makes no sense."""

    remedy = "use an earlier copy if there is one"


class DiskFullError(StoreError):
    """There is no room to write, or the disk fails."""


def no_conversation(conversation: int) -> StoreError:
    """There is no conversation of this number."""
    return StoreError(f"there is no conversation {conversation}: choose one from the list")


def no_message(message: int) -> StoreError:
    """There is no message of this number."""
    return StoreError(f"there is no message {message}: choose one of the conversation")


def not_in_conversation(message: int, conversation: int) -> StoreError:
    """There is no message of this number in the conversation."""
    return StoreError(f"message {message} is not in conversation {conversation}: choose one that is")


def not_writable(path: Path) -> StoreError:
    """A file can be read and not be written."""
    return StoreError(f"{path} can't be written: allow writing there, or name another directory")
