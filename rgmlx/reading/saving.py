"""The latest place of a reading, and what of it is on the disk. Outlives its reader, to be saved when that is gone.

Knows places and files; neither reads nor asks.
"""

from __future__ import annotations

import os

from ..generation.language_model import LanguageModel
from ..system.paths import expanded
from .files import ReadingFiles
from .place import Place


class Saving:
    """Where a reading is, and its files.

    Attributes:
        place: replaced by whoever reads.
        files: None in memory.
        intro, model: what stands in front of the text, and what the model can be loaded by.
        is_open: whether more may be read: false after `close`, and where one only asks.
    """

    def __init__(self, place: Place, files: ReadingFiles | None, *, intro: str, model: str, is_open: bool) -> None:
        self.place, self.files, self.intro, self.model, self.is_open = place, files, intro, model, is_open
        self._saved = place
        self._state = place.state if files is not None and files.exist else None
        self._process = os.getpid()

    @property
    def unsaved(self) -> bool:
        """Whether there is something that `save` would put on the disk."""
        return self.files is not None and self.is_open and self._saved is not self.place

    def save(self) -> None:
        """Writes what is not on the disk: the state where it has read since, else what waits.

        Raises:
            StateError: it can't be written; what was there before is unchanged.
        """
        if self.files is None or not self.unsaved:
            return
        place = self.place
        record = {"model": self.model, "intro": self.intro, **place.to_json()}
        if place.state is self._state:
            self.files.save_waiting(record)
        else:
            self.files.save(place.state, record)
            self._state = place.state
        self._saved = place

    def close(self) -> None:
        """Saves, and lets other programs read on. Raises StateError as `save`."""
        if os.getpid() != self._process:  # a forked child has neither the lock nor the model
            return
        try:
            if self.place.size:
                self.save()
        finally:
            self.is_open = False
            if self.files is not None:
                self.files.release()


def model_name(model: LanguageModel) -> str:
    """What the model can be loaded by, from any directory."""
    name, directory = model.name or "", model.directory
    return str(directory.absolute()) if directory is not None and directory == expanded(name) else name
