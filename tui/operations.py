"""What commands do to a conversation and its settings, whatever shows it. The same for the screen and for plain lines.

Every function raises RgmlxError with the sentence to say; those that change something return what to say about it.
"""

from __future__ import annotations

from pathlib import Path

from rgmlx.conversation.session import Session
from rgmlx.errors import ChatError
from rgmlx.store import MODEL, USER, Message
from rgmlx.system.printable import printable

from .settings import settings

_OFF = ("default", "none", "off", "")


def conversation(session: Session) -> int:
    """The conversation's number; it has one from its first message on."""
    if session.conversation is None:
        raise ChatError("this conversation is empty: send a message first")
    return session.conversation.id


def rename(session: Session, title: str) -> None:
    """Gives it another title."""
    number = conversation(session)
    session.store.conversations.rename(number, title)
    refresh(session)


def refresh(session: Session) -> None:
    """Reads what the store knows of it again."""
    if session.conversation is not None:
        session.conversation = session.store.conversations.get(session.conversation.id)


def archive(session: Session) -> None:
    """Moves it out of the list, and begins another."""
    session.store.conversations.archive(conversation(session))
    session.begin()


def delete(session: Session) -> None:
    """Deletes it, and begins another."""
    session.store.conversations.delete(conversation(session))
    session.begin()


def undelete(session: Session) -> int:
    """Brings the one that was deleted last back; its number."""
    gone = session.store.conversations.deleted()
    if not gone:
        raise ChatError("Nothing was deleted.")
    session.store.conversations.undelete(gone[0].id)
    return gone[0].id


def exported(session: Session, path: Path) -> str:
    """It as the text of a file with this name."""
    exchange, number = session.store.exchange, conversation(session)
    if path.suffix == ".json":
        return exchange.to_json(number)
    if path.suffix == ".md":
        return exchange.markdown(number)
    raise ChatError(f"{path} should end in .md (to read) or .json (to import)")


def message_before_reply(session: Session) -> Message:
    """Stands at the user's message that another reply is wanted to; that message."""
    head = session.head
    if head is not None and head.role == MODEL:
        head = None if head.parent is None else session.go(head.parent)
    if head is None or head.role != USER:
        raise ChatError("there is nothing to reply to: send a message first")
    return head


def last_message(session: Session, role: str) -> Message:
    """The last message of one of the two, up to here."""
    message = session.head
    if message is not None and message.role != role and message.parent is not None:
        message = session.store.messages.get(message.parent)
    if message is None or message.role != role:
        raise ChatError("there is no such message yet")
    return message


def set_one(session: Session, words: str) -> str:
    """Changes a setting that is given as "name value", and says what it is; says what all are where none is given."""
    name, _, value = words.replace("=", " ").strip().partition(" ")
    name, value = name.strip().replace("-", "_"), value.strip()
    if not name:
        return "\n".join(shown(session, one) for one in settings.SAMPLING)
    if name not in settings.SAMPLING:
        raise ChatError(f"there is no setting '{name}': there are {', '.join(settings.SAMPLING)}")
    if value:
        session.set_settings({name: settings.parse(name, "" if value in _OFF else value)})
    return shown(session, name)


def shown(session: Session, name: str) -> str:
    """A setting's name and what holds for it now."""
    value = session.settings.get(name)
    return f"{name}: {settings.unset(name, session.own_settings()) if value is None else printable(str(value))}"


def system(session: Session, text: str) -> str:
    """Changes the system text where one is given."""
    if text:
        session.set_system(None if text in _OFF else text)
    return f"System text: {session.system}" if session.system else "There is no system text."


def describe(session: Session) -> list[str]:
    """What the model, its memory and the program take, a line each."""
    session.measure()
    there = session.memory is None or session.stands
    gauges, snapshots = session.gauges, session.store.snapshots
    usage = snapshots.usage()
    rate = f"{gauges.rate:.1f} tokens a second, the first after {gauges.first_token:.2f} s"
    tokens = f"{gauges.position:,}" if there else "the model is on its way here"
    return [
        f"Model: {session.name}",
        f"Memory: {gauges.state_bytes / 1e6:.2f} MB, which never grows; the last {gauges.window:,} tokens word by word, "
        "what is older in gist",
        f"Tokens so far: {tokens}; read again since the model was loaded: {gauges.read_again:,}",
        f"Last reply: {rate if gauges.rate else 'none was written here since this was opened'}",
        f"This program: {gauges.resident / 1e6:,.0f} MB",
        f"States on the disk: {usage.count:,}, {usage.bytes / 1e6:,.1f} of {snapshots.budget / 1e6:,.0f} MB",
        f"Conversations: {session.store.directory}",
    ]
