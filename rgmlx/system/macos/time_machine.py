"""Has Time Machine leave out what can be had again: models that were downloaded or converted here, and states of the model.

`tmutil addexclusion` without -p needs no administrator and marks the directory itself, so that the mark goes with it when
it is moved, and goes away with it (man 8 tmutil: "a location-independent ('sticky') exclusion"). Only directories that
rgmlx has made are marked: one that was in the Hugging Face cache before may be there on purpose. The model's states have
a directory of their own beside the conversations (`store.states`), which are never left out.
"""

from __future__ import annotations

import logging
from pathlib import Path

from .. import cache, macos

_ENTRIES = 1_000  # directories that are remembered
_log = logging.getLogger(__name__)


def leave_out(directory: Path) -> None:
    """Has backups leave a directory out, once in its life. Never raises; what fails is a line in the log, and no harm."""
    if not macos.here():
        return
    try:
        found = directory.stat()
    except (OSError, ValueError) as e:
        _log.info("%s is not left out of backups: %s", directory, e)
        return
    store, key, mark = cache.file("time-machine.json"), str(directory.absolute()), f"{found.st_dev} {found.st_ino}"
    known = cache.read(store, str)
    if known.get(key) == mark:
        return
    if macos.run("tmutil", "addexclusion", key) is None:
        _log.info("%s is not left out of backups: tmutil failed", directory)
        return
    known.pop(key, None)
    cache.write(store, known | {key: mark}, _ENTRIES)
