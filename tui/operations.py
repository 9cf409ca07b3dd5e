"""What commands do to a conversation and its settings, whatever shows it: one function a command that screen and plain
lines both have.

Each takes what follows the command's name, returns an outcome, and raises RgmlxError with the sentence to say.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from rgmlx.conversation import places, rgstate
from rgmlx.conversation.navigation import Navigation
from rgmlx.conversation.session import Session
from rgmlx.errors import ChatError
from rgmlx.store import MODEL, USER, Message
from rgmlx.store.import_export import check_name
from rgmlx.system.formatting import sentence
from rgmlx.system.printable import printable
from rgmlx.system.textfiles import exists, read_text, typed_path

from .outcomes import (
    Closed,
    Moved,
    Noted,
    Opened,
    Opens,
    Outcome,
    Renamed,
    Replaces,
    Runs,
    Said,
    Unmoved,
    Writes,
)
from .settings import personas, settings
from .settings.settings import Defaults

_OFF = ("default", "none", "off", "")


class Chat(Protocol):
    """What an operation works on."""

    @property
    def session(self) -> Session: ...
    @property
    def navigation(self) -> Navigation: ...
    @property
    def defaults(self) -> Defaults: ...


Operation = Callable[[Chat, str], Outcome]

# --- replies ------------------------------------------------------------------------------


def regenerate(chat: Chat, _: str) -> Outcome:
    """Writes another reply to the last message of the user."""
    session, head = chat.session, chat.session.head
    if head is not None and head.role == MODEL:
        head = None if head.parent is None else session.checkout(head.parent)
    if head is None or head.role != USER:
        raise ChatError("there is nothing to reply to: send a message first")
    return Writes(session.generate_reply, again=head)


def continue_reply(chat: Chat, _: str) -> Outcome:
    """Goes on with the last reply, or writes one to a message that has none."""
    return _go_on(chat.session, endless=False)


def continue_endlessly(chat: Chat, _: str) -> Outcome:
    """The same without a limit of tokens."""
    return _go_on(chat.session, endless=True)


def _go_on(session: Session, *, endless: bool) -> Outcome:
    head = session.head
    if head is None:
        raise ChatError("there is nothing to go on with: send a message first")
    if head.role == MODEL:
        return Writes(lambda: session.continue_reply(endless=endless), continued=head, endless=endless)
    return Writes(lambda: session.generate_reply(endless=endless), endless=endless)


def last_message(session: Session, role: str) -> Message:
    """The last message of one of the two, up to here."""
    message = session.head
    if message is not None and message.role != role and message.parent is not None:
        message = session.store.messages.get(message.parent)
    if message is None or message.role != role:
        raise ChatError("there is no such message yet")
    return message


# --- places of a conversation -------------------------------------------------------------


def back(chat: Chat, _: str) -> Outcome:
    """Goes to the reply before."""
    return _moved(chat.navigation.back)


def forward(chat: Chat, _: str) -> Outcome:
    """Goes to the next reply of the branch."""
    return _moved(chat.navigation.forward)


def previous_answer(chat: Chat, _: str) -> Outcome:
    """Goes to the answer before this one."""
    return _moved(lambda: chat.navigation.sibling(-1))


def next_answer(chat: Chat, _: str) -> Outcome:
    """Goes to the answer after this one."""
    return _moved(lambda: chat.navigation.sibling(1))


def _moved(step: Callable[[], int | None]) -> Outcome:
    try:
        return Moved(step())
    except ChatError as e:
        return Unmoved(str(e))


# --- conversations ------------------------------------------------------------------------


def conversation(session: Session) -> int:
    """The conversation's number; it has one from its first message on."""
    if session.conversation is None:
        raise ChatError("this conversation is empty: send a message first")
    return session.conversation.id


def open_conversation(session: Session, number: int, message: int | None) -> None:
    """Goes on with another conversation; bringing its model is up to the caller."""
    if message is not None:
        message = places.after(session.store, message)
    if not session.open(number, message, peek=True):
        raise ChatError("another rgchat has this conversation open: close it there first")


def new(chat: Chat, _: str) -> Outcome:
    """Begins a new conversation."""
    chat.session.begin()
    return Opened()


def persona(chat: Chat, name: str) -> Outcome:
    """Begins a new conversation with a persona, or says which there are."""
    known = chat.defaults.personas
    if not name and not known:
        return Said(sentence(personas.none(settings.path())))
    if not name:
        rows = [f"{one}: {persona.about}" for one, persona in known.items()]
        return Noted("\n".join([*rows, "/persona NAME begins a conversation with one."]))
    found, one = personas.find(known, name, settings.path())
    chat.session.begin(one.system, one.sampling)
    return Opened(f"Persona {found}: {one.about}")


def rename(chat: Chat, title: str) -> Outcome:
    """Gives it another title."""
    chat.session.store.conversations.rename(conversation(chat.session), title)
    chat.session.opened.first_words = None
    refresh(chat.session)
    return Renamed(title)


def pin(chat: Chat, _: str) -> Outcome:
    """Puts it before all others in the lists, or back to its place."""
    session = chat.session
    number = conversation(session)
    pinned = not session.store.conversations.get(number).pinned
    session.store.conversations.pin(number, pinned)
    refresh(session)
    return Noted("Pinned: it leads the list. /pin takes that back." if pinned else "It is no longer pinned.")


def refresh(session: Session) -> None:
    """Reads what the store knows of it again."""
    if session.conversation is not None:
        session.conversation = session.store.conversations.get(session.conversation.id)


def archive(chat: Chat, _: str) -> Outcome:
    """Moves it out of the list, and begins another."""
    chat.session.store.conversations.archive(_settled(chat.session))
    chat.session.begin()
    return Closed(deleted=False)


def delete(chat: Chat, _: str) -> Outcome:
    """Deletes it, and begins another."""
    chat.session.store.conversations.delete(_settled(chat.session))
    chat.session.begin()
    return Closed(deleted=True)


def _settled(session: Session) -> int:
    number = conversation(session)
    if session.writes_in(number):
        raise ChatError("a reply is being written further on in this conversation: Esc stops it")
    return number


def undelete(chat: Chat, _: str) -> Outcome:
    """Brings back the one that was deleted last."""
    conversations = chat.session.store.conversations
    gone = conversations.deleted()
    if not gone:
        raise ChatError("Nothing was deleted.")
    conversations.undelete(gone[0].id)
    return Opens(gone[0].id)


# --- files --------------------------------------------------------------------------------


def export(chat: Chat, name: str) -> Outcome:
    """Writes the conversation to a file to read, or to import elsewhere."""
    store, number, path = chat.session.store, conversation(chat.session), typed_path(name)
    check_name(path)

    def write() -> Outcome:
        store.import_export.write(number, path)
        return Said(f"Written: {path}")

    return _to_file(path, Runs(write))


def import_file(chat: Chat, name: str) -> Outcome:
    """Makes a conversation of a file that was exported."""
    store, path = chat.session.store, typed_path(name)
    return Runs(lambda: Opens(store.import_export.from_json(read_text(path)).id), doing="Importing.")


def save(chat: Chat, name: str) -> Outcome:
    """Writes the conversation with the model's state to a file."""
    session = chat.session
    conversation(session)
    path = typed_path(name)
    rgstate.check_name(path)

    def write() -> Outcome:
        rgstate.save_file(session, path)
        return Said(f"Written: {path}")

    return _to_file(path, Runs(write, with_model=True))


def open_file(chat: Chat, name: str) -> Outcome:
    """Goes on from a file with the model's state."""
    session, path = chat.session, typed_path(name)

    def read() -> Outcome:
        rgstate.open_file(session, path)
        return Opened()

    return Runs(read, with_model=True)


def _to_file(path: Path, write: Runs) -> Outcome:
    return Replaces(path, write) if exists(path) else write


# --- settings -----------------------------------------------------------------------------


def set_setting(chat: Chat, words: str) -> Outcome:
    """Changes a setting, or says what holds."""
    return Noted(change_setting(chat.session, words))


def change_setting(session: Session, words: str) -> str:
    """Changes a setting that is given as "name value", and says what it is; says what all are where none is given."""
    name, _, value = words.replace("=", " ").strip().partition(" ")
    name, value = name.strip().replace("-", "_"), value.strip()
    if not name:
        return "\n".join(shown(session, one) for one in settings.SAMPLING)
    if name not in settings.SAMPLING:
        raise ChatError(f"there is no setting '{name}': there are {', '.join(settings.SAMPLING)}", quotes=(name,))
    if value:
        session.set_settings({name: settings.parse(name, "" if value in _OFF else value)})
    return shown(session, name)


def shown(session: Session, name: str) -> str:
    """A setting's name and what holds for it now."""
    value = session.settings.get(name)
    return f"{name}: {settings.unset(name, session.own_settings()) if value is None else printable(str(value))}"


def set_system(chat: Chat, text: str) -> Outcome:
    """Changes the system text, or says what it is."""
    return Said(change_system(chat.session, text))


def change_system(session: Session, text: str) -> str:
    """Changes the system text where one is given, and says what it is."""
    if text:
        session.set_system(None if text in _OFF else text)
    return f"System text: {session.system}" if session.system else "There is no system text."


def info(chat: Chat, _: str) -> Outcome:
    """What the model, its memory and the program take."""
    return Said("\n".join(describe(chat.session)))


def describe(session: Session) -> list[str]:
    """The same, a line each."""
    session.measure()
    there = session.context is None or session.in_sync
    metrics, snapshots = session.metrics, session.store.snapshots
    usage = snapshots.usage()
    last = "none was written here since this was opened"
    if metrics.first_token:
        speed = f"{metrics.rate:.1f} tokens a second, the first" if metrics.rate else "one token,"
        last = f"{speed} after {metrics.first_token:.2f} s"
    tokens = f"{metrics.position:,}" if there else "the model is on its way here"
    return [
        f"Model: {session.name}",
        f"Memory: {metrics.state_bytes / 1e6:.2f} MB, which never grows; the last {metrics.window:,} tokens word by word, "
        "what is older in gist",
        f"Window: {_window_use(metrics.position, metrics.window) if there else 'the model is on its way here'}",
        f"Tokens so far: {tokens}; read again since the model was loaded: {metrics.read_again:,}",
        f"Last reply: {last}",
        f"This program: {metrics.resident / 1e6:,.0f} MB",
        f"States on the disk: {usage.count:,}, {usage.bytes / 1e6:,.1f} of {snapshots.budget / 1e6:,.0f} MB",
        f"Conversations: {session.store.directory}",
    ]


def _window_use(position: int, window: int) -> str:
    """How much of what is remembered word by word is in use."""
    if not window:
        return "no model is loaded"
    if position > window:
        return f"full, {window:,} tokens word by word; {position - window:,} older ones are in gist"
    used = f"{position:,} of {window:,} tokens in use, {100 * position // window} %"
    return f"{used}; all that was said is remembered word by word"
