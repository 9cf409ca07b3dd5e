"""The one error of the store. Like all of ours, its text is a sentence that can be shown as it is."""

from __future__ import annotations

from ..errors import RgmlxError


class StoreError(RgmlxError, RuntimeError):
    """Conversations that can't be read or written, or a request that makes no sense."""

    remedy = "use an earlier copy if there is one"


class DiskFullError(StoreError):
    """There is no room to write, or the disk fails."""
