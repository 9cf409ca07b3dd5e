"""The commands about whole conversations: lists and numbers, opening and leaving them, files.

Knows which number in the last list is which conversation; what is done to one is in `operations`, how it is said in `output`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from rgmlx.conversation import places
from rgmlx.conversation.rgstate import check_name, open_file, save_file
from rgmlx.errors import RgmlxError
from rgmlx.store import Conversation
from rgmlx.system.formatting import when
from rgmlx.system.textfiles import exists, read_text, typed_path, write_text

from .. import operations
from .output import READING_AGAIN, Output, short, title

ROWS = 30


class ConversationCommands:
    """The conversations, by their numbers in the last list.

    Attributes:
        commands: by their names; each takes what follows the name.
    """

    def __init__(self, output: Output) -> None:
        self._output, self._session, self._store = output, output.session, output.store
        self._listed: list[tuple[int, int | None]] = []  # conversations and messages by their numbers, from 1
        self.commands: dict[str, Callable[[str], None]] = {
            "new": self._new,
            "list": self._list,
            "find": self._find,
            "open": self._open,
            "rename": self._rename,
            "archive": self._archive,
            "delete": self._delete,
            "undelete": lambda _: self._go_to(operations.undelete(self._session)),
            "export": self._export,
            "import": self._import,
            "save": self._save,
        }

    # --- lists ----------------------------------------------------------------------------

    def _list(self, _: str) -> None:
        found = self._store.conversations.listed(limit=ROWS + 1)
        self._listed = [(one.id, None) for one in found[:ROWS]]
        current, now = self._session.conversation, time.time()
        for number, one in enumerate(found[:ROWS], 1):
            here = ", open here" if current is not None and current.id == one.id else ""
            self._output.line(f"{number}. {title(one.title)}, {when(one.updated, now)}{here}")
        self._after_list(len(found), f"These are the newest {ROWS}: /find TEXT finds the others.")

    def _find(self, text: str) -> None:
        hits = self._store.search.find(text, ROWS + 1)
        self._listed = [(hit.conversation, hit.message) for hit in hits[:ROWS]]
        for number, hit in enumerate(hits[:ROWS], 1):
            said = f": {short(''.join(part for part, _ in hit.snippet), 200)}" if hit.message is not None else ""
            self._output.line(f"{number}. {title(hit.title)}{said}")
        self._after_list(len(hits), f"These are the first {ROWS}: add a word to find fewer.")

    def _after_list(self, count: int, more: str) -> None:
        one = "/open and a number goes on with one."
        self._output.say("There are none." if not count else more if count > ROWS else one)

    # --- another conversation -------------------------------------------------------------

    def _new(self, _: str) -> None:
        self._session.begin()
        self._begun()

    def _begun(self) -> None:
        self._output.travel.end()
        self._output.show_place()

    def _open(self, what: str) -> None:
        if not (what.isascii() and what.isdecimal()):
            self.open_file(typed_path(what))
            self._output.show_place()
            return
        if not self._listed:
            self._listed = [(one.id, None) for one in self._store.conversations.listed(limit=ROWS)]
        if len(what) > 4 or not 0 < int(what) <= len(self._listed):
            raise RgmlxError(f"there is no number {what[:20]} in the list: /list shows it")
        conversation, message = self._listed[int(what) - 1]
        if self._store.conversations.get(conversation).deleted is not None:
            raise RgmlxError("this conversation was deleted: /undelete brings the last one back")
        self._go_to(conversation, message)

    def _go_to(self, conversation: int, message: int | None = None) -> None:
        """Goes on with another conversation, loading its model if that is another one."""
        if message is not None:
            message = places.after(self._store, message)
        if not self._session.open(conversation, message, peek=True):
            raise RgmlxError("another rgchat has this conversation open: close it there first")
        self._begun()
        assert self._session.conversation is not None
        if (wanted := self._session.conversation.model) != self._session.name:
            with self._output.told():
                self._output.load(wanted)
            self._output.line(f"Model: {self._session.name}")
        self._output.stand()

    def _rename(self, name: str) -> None:
        operations.rename(self._session, name)
        self._output.line(f"The title is now: {title(name)}")

    def _archive(self, _: str) -> None:
        operations.archive(self._session)
        self._output.say("It is kept in the archive: /find finds it.")
        self._begun()

    def _delete(self, _: str) -> None:
        operations.delete(self._session)
        self._output.say("Deleted. /undelete brings it back.")
        self._begun()

    # --- files ----------------------------------------------------------------------------

    def open_file(self, file: Path) -> None:
        """Goes on from a .rgstate file. Raises RgmlxError: it can't be; nothing was changed."""
        self._output.worker.run(lambda: open_file(self._session, file), lambda: self._output.reading(READING_AGAIN))
        self._output.travel.end()

    def _export(self, name: str) -> None:
        path = typed_path(name)
        text = operations.exported(self._session, path)
        if self._may_write(path):
            write_text(path, text)
            self._output.line(f"Written: {path}")

    def _import(self, name: str) -> None:
        made: list[Conversation] = []
        path = typed_path(name)
        self._output.worker.run(
            lambda: made.append(self._store.exchange.from_json(read_text(path))), lambda: "Importing."
        )
        self._go_to(made[0].id)

    def _save(self, name: str) -> None:
        operations.conversation(self._session)
        path = typed_path(name)
        check_name(path)
        if self._may_write(path):
            self._output.worker.run(lambda: save_file(self._session, path), lambda: self._output.reading(READING_AGAIN))
            self._output.line(f"Written: {path}")

    def _may_write(self, path: Path) -> bool:
        """Whether a file may be written or replaced; asks where somebody is there. Raises RgmlxError."""
        if not exists(path):
            return True
        io, worker = self._output.io, self._output.worker
        if not io.terminal:
            raise RgmlxError(f"{path} is there already: give another name")
        answer = ""
        self._output.say(f"{path} is there already.")
        try:
            worker.asking = True
            answer = io.line("Replace it? yes or no: ")
        except (EOFError, KeyboardInterrupt):
            io.write("\n")
        finally:
            worker.asking = False
        if answer.strip().lower() not in ("y", "yes"):
            self._output.say("It was not written.")
            return False
        return True
