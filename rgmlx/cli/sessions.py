"""`rgmlx sessions`: the conversations by name that `rgmlx ask --session`, programs and rgchat share."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..errors import RgmlxError
from ..shell import typed
from ..system import times
from ..system.decoding import argument
from ..system.printable import printable
from .common import EXIT_CODES, add_command, add_data, confirm_deletion, data_directory, positive, say
from .completions.table import SESSIONS, completes
from .conversations import found, opened

if TYPE_CHECKING:
    from ..store import Conversation, Store

_PAGE = 500
"""Conversations that are read at a time."""


def add(commands: Any) -> None:
    """Adds the subcommand, and what can be done."""
    p = add_command(
        commands,
        "sessions",
        "list, show, rename, delete and export conversations",
        "Lists the conversations that rgmlx ask --session, programs and rgchat share, the newest first; those that\n"
        "/pin in rgchat has pinned come before. A NAME is that of a conversation, or its number here: 3, or :3 where another\n"
        "one is called 3. It keeps that number (/list in rgchat counts those that it shows).",
        (
            "rgmlx sessions",
            "rgmlx sessions show diary --last 2",
            'rgmlx sessions rename diary "My diary"',
            "rgmlx sessions export diary -o diary.md",
            "rgmlx sessions delete diary --yes",
        ),
        EXIT_CODES,
    )
    _add_list_options(p)
    p.set_defaults(run=_list)
    actions = p.add_subparsers(metavar="ACTION", title="actions")

    def add_action(name: str, summary: str, run: Any) -> argparse.ArgumentParser:
        action = actions.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        action.set_defaults(run=run)
        return action

    _add_list_options(
        add_action("list", "list conversations, pinned ones and then the newest first (this is the default)", _list)
    )
    p = add_action("show", "print what was said in a conversation", _show)
    completes(p.add_argument("name", metavar="NAME", help="the conversation"), SESSIONS)
    p.add_argument("--last", type=positive, metavar="N", help="the last N messages only (default: all)")
    add_data(p, default=argparse.SUPPRESS)
    p = add_action("rename", "give a conversation another name", _rename)
    completes(p.add_argument("name", metavar="NAME", help="the conversation"), SESSIONS)
    p.add_argument("new", metavar="NEW", help="its new name")
    add_data(p, default=argparse.SUPPRESS)
    p = add_action("delete", "delete conversations; for 30 days rgchat's /undelete brings them back", _delete)
    completes(p.add_argument("names", metavar="NAME", nargs="+", help="the conversations"), SESSIONS)
    p.add_argument("--yes", action="store_true", help="do not ask")
    add_data(p, default=argparse.SUPPRESS)
    p = add_action("export", "write a conversation as Markdown, or all of it as JSON that rgchat imports", _export)
    completes(p.add_argument("name", metavar="NAME", help="the conversation"), SESSIONS)
    p.add_argument("-o", "--output", metavar="FILE", help="a file, .md or .json (default: standard output)")
    p.add_argument("--json", action="store_true", help="JSON, whatever the file is called")
    add_data(p, default=argparse.SUPPRESS)


def _add_list_options(p: argparse.ArgumentParser) -> None:
    # Absent where they are not given: those after `list` would take back what stands before it.
    absent = argparse.SUPPRESS
    p.add_argument("--json", action="store_true", default=absent, help="an object a line: number, name, model, ...")
    p.add_argument("--all", action="store_true", default=absent, help="those in the archive too")
    p.add_argument("--names", action="store_true", default=absent, help=absent)  # what shell completion asks for
    add_data(p, default=absent)


# --- list, show ---------------------------------------------------------------------------


def _list(options: argparse.Namespace) -> None:
    with _store(options) as store:
        if store is None:
            _say_none()
            return
        given = vars(options)
        names = given.get("names", False)
        rows = _rows(store, archived=None if names or given.get("all") else False)
        if names:
            titles = (one.title for one in rows if one.title.strip() and one.title.isprintable())
            for title in dict.fromkeys(titles):
                print(title)
        elif given.get("json"):
            for one in rows:
                print(json.dumps(_facts(one)))
        else:
            _table(rows)


def _rows(store: Store, archived: bool | None) -> Iterator[Conversation]:
    after = 0
    while page := store.conversations.listed(archived=archived, limit=_PAGE, after=after, pinned_first=True):
        yield from page
        after += len(page)


def _table(rows: Iterator[Conversation]) -> None:
    lines = [(str(one.id), times.shown(one.updated), one.model, _title(one) + _marks(one)) for one in rows]
    if not lines:
        _say_none()
        return
    widths = [max(len(line[i]) for line in lines) for i in range(3)]
    for number, changed, model, title in lines:
        print(f"{number:>{widths[0]}}  {changed:{widths[1]}}  {printable(model):{widths[2]}}  {title}")


def _say_none() -> None:
    say(_none())


def _none() -> str:
    return f"there are no conversations yet: {typed('rgmlx ask')} --session NAME begins one"


def _title(one: Conversation) -> str:
    return " ".join(printable(one.title).split()) or "(without a name)"


def _marks(one: Conversation) -> str:
    marks = ", ".join(["pinned"] * one.pinned + ["archived"] * one.archived)
    return f" ({marks})" if marks else ""


def _facts(one: Conversation) -> dict[str, Any]:
    return {
        "number": one.id,
        "name": one.title,
        "model": one.model,
        "system": one.system,
        "created": _utc(one.created),
        "updated": _utc(one.updated),
        "archived": one.archived,
        "pinned": one.pinned,
    }


def _utc(seconds: float) -> str | None:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds)) if times.known(seconds) else None


def _show(options: argparse.Namespace) -> None:
    from ..store import USER

    with _existing(options) as store:
        one = found(store, options.name)
        clean = printable if sys.stdout.isatty() else str
        for number, message in enumerate(store.messages.window(one.head, options.last or -1)):
            text = message.text.rstrip("\n")
            if message.role == USER:
                text = "\n".join(f"> {line}".rstrip() for line in text.split("\n"))
            print(("\n" if number else "") + clean(text))


# --- changes ------------------------------------------------------------------------------


def _rename(options: argparse.Namespace) -> None:
    from ..conversation import named

    new = argument(options.new, "the new name").strip()
    named.check(new)
    with _existing(options) as store:
        one = found(store, options.name)
        if any(other.id != one.id for other in store.conversations.of_title(new)):
            raise RgmlxError(f"there is a conversation “{new}” already: choose another name", quotes=(new,))
        store.conversations.rename(one.id, new)


def _delete(options: argparse.Namespace) -> None:
    with _existing(options) as store, contextlib.ExitStack() as locks:
        rows = list({one.id: one for one in (found(store, name) for name in options.names)}.values())
        for one in rows:  # all of them, or none
            lock = store.lock(one.id)
            if lock is None:
                raise RgmlxError(f"“{one.title}” is open in another program: close it there first", quotes=(one.title,))
            locks.enter_context(lock)
        confirm_deletion(", ".join(f"“{_title(one)}”" for one in rows), options.yes)
        for one in rows:
            store.conversations.delete(one.id)


def _export(options: argparse.Namespace) -> None:
    from ..store.import_export import check_name
    from ..system.textfiles import exists, typed_path, write_text

    path = None if options.output in (None, "-") else typed_path(options.output)
    if path is not None:
        exists(path)  # refuses a folder
        if not options.json:
            check_name(path)
    with _existing(options) as store:
        number, exports = found(store, options.name).id, store.import_export
        if path is None:
            text = exports.to_json(number) + "\n" if options.json else exports.markdown(number)
            print(printable(text) if sys.stdout.isatty() else text, end="")
        elif options.json:
            write_text(path, exports.to_json(number))
        else:
            exports.write(number, path)


# --- the store ----------------------------------------------------------------------------


@contextlib.contextmanager
def _store(options: argparse.Namespace) -> Iterator[Store | None]:
    """The store; None where nobody has talked yet, so that looking leaves no file."""
    from ..store.names import NAME

    directory = data_directory(options)
    if not os.path.lexists(directory / NAME):
        yield None
        return
    with opened(directory) as store:
        yield store


@contextlib.contextmanager
def _existing(options: argparse.Namespace) -> Iterator[Store]:
    with _store(options) as store:
        if store is None:
            raise RgmlxError(_none())
        yield store
