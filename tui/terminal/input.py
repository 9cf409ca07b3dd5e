"""What a terminal sends, as events: Textual's parser, with a paste in one piece whatever is in it.

Knows bytes and Textual's parser; nothing of who gets the events.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator
from io import StringIO
from typing import Any, cast

from textual import events
from textual._ansi_sequences import ANSI_SEQUENCES_KEYS
from textual._xterm_parser import BRACKETED_PASTE_END as END
from textual._xterm_parser import BRACKETED_PASTE_START as START
from textual._xterm_parser import XTermParser
from textual.keys import _character_to_key
from textual.message import Message

from . import terminals
from .clipboard import MAX_KEPT
from .typed import is_text

QUIET_TICKS = 25
"""Ticks, of 0.1 s, without input after which a paste ends that the terminal does not end."""

# A sequence of each kind that a terminal obeys; of what is none, only the ESC goes.
_ESCAPE = re.compile(
    "\x1b(?:\\[[0-?]*[ -/]*[@-~]|[PX^_\\]][^\x07\x1b\r\n]*(?:\x07|\x1b\\\\)|[NO][!-~]|[ -/]*[0-Z\\\\^-~])"
)
_BREAKS = re.compile("[\x0b\x0c]")  # lines and pages end with them, as of PDF text
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f]")
# ESC before the sequence of a key is Option with that key in iTerm2's default profile, and in macOS Terminal where Option
# is Meta (gnachman/iTerm2 plists/DefaultBookmark.plist, earendil-works/pi#8697); rxvt does the same. Textual takes it for
# Esc, and that would stop a reply.
_META = re.compile("(?<=\x1b)\x1b(?:O([A-DFHP-S])|\\[(?:1;(\\d\\d?))?([A-DFHPQS])|\\[(\\d\\d?)(?:;(\\d\\d?))?~)")
_META_BEGUN = re.compile("(?<=\x1b)\x1b(?:O|\\[(?:\\d\\d?(?:;\\d?\\d?)?)?)?\\Z")
_INTRODUCERS = "[NOPX]^_"  # with which longer sequences begin
_SAME = {"shift+pageup": "pageup", "shift+pagedown": "pagedown", "shift+\r": "shift+enter"}
"""Keys by what they are here: macOS Terminal keeps a page without Shift to itself, and tmux has its own Shift+Enter."""
_SAME_IN_ITERM = {f"super+{side}": f"alt+{side}" for side in ("up", "down", "left", "right")}
"""iTerm2 keeps Cmd with an arrow to itself, and older ones send ESC [ 1;9 A for Option with it, where others mean Cmd
(gitlab.com/gnachman/iterm2 issue 3753, gdamore/tcell#102; sw.kovidgoyal.net/kitty/keyboard-protocol: 9 is Super)."""


class _AltEnter:
    value = "alt+enter"


# What terminals without the Kitty protocol send for Alt+Enter. Textual takes it for Enter: a message sent too early.
cast(dict[str, Any], ANSI_SEQUENCES_KEYS).setdefault("\x1b\r", (_AltEnter,))
# Alt+Backspace where Backspace is \x08: as where it is \x7f.
cast(dict[str, Any], ANSI_SEQUENCES_KEYS).setdefault("\x1b\x08", ANSI_SEQUENCES_KEYS["\x1b\x7f"])


class TerminalParser(XTermParser):
    """Textual's parser; all between the start and the end of a bracketed paste is one `events.Paste`, and a key with Option
    is a key with Alt however it comes.

    Textual reads keys in a paste after its first ESC: text vanishes, and controls in it act. Here escape sequences and
    controls are dropped; tabs and line breaks stay (see `clean`), in which \\r is one. A paste of more than `MAX_KEPT` characters
    becomes one that is longer than what is taken, so that it is refused and not cut.
    """

    def __init__(self, debug: bool = False) -> None:
        self._paste: StringIO | None = None
        self._size = 0  # of the paste, also of what is dropped
        self._held = ""  # the end of the input so far, where a START or an END may have begun
        self._quiet = 0  # ticks since there was input
        self._escape = False  # an ESC was read, and what follows it tells whose it is
        self._meta = ""  # what came behind it, which may begin a key with Option
        self._alt = False  # the character that comes next from a sequence which is none was behind its ESC
        self._same = _SAME | (_SAME_IN_ITERM if terminals.here().name == "iTerm.app" else {})
        super().__init__(debug)

    def feed(self, data: str) -> Iterable[Message]:
        if not data:
            yield from super().feed(data)
        self._quiet = 0
        while data:
            if self._paste is None:
                data = yield from self._feed_keys(data)
            else:
                data = yield from self._feed_paste(data)

    def tick(self) -> Iterable[Message]:
        self._quiet += 1
        ended = self._quiet > QUIET_TICKS
        if self._paste is not None:
            if ended:
                self._add(self._held)
                yield from self._end()
        elif len(self._held) < 3 or ended:  # of a START in pieces no keys are made; ESC or ESC [ may be Esc or Alt+[
            yield from super().tick()
            if self._timeout_time is None:  # what began with ESC is over
                self._escape = False
                if self._meta:  # it was no key with Option
                    meta, self._meta = self._meta, ""
                    yield from self._feed_sequences(meta)
                else:
                    self._held = ""

    def _sequence_to_key_events(self, sequence: str, alt: bool = False) -> Iterable[events.Key]:
        """Keys; what is pressed with Alt types nothing, which Textual has it do, and under a name without Alt for signs.

        It is known at once: Textual would wait for more. No sequence goes on behind a control: there ESC was Esc. A
        sequence that is none comes again as single characters, of which Textual makes `^` of the ESC where another ESC or
        too much followed it, and Alt where nothing did: here that is Alt in each case.
        """
        if sequence == "\x1b":
            self._alt = True
            return
        alt, self._alt = alt or self._alt, False
        if len(sequence) == 2 and sequence[0] == "\x1b":
            alt = True  # Alt+1 is what Option+1 types on a Mac, it says
            if sequence not in ANSI_SEQUENCES_KEYS and sequence[1] not in _INTRODUCERS:
                sequence = sequence[1]
                if not is_text(sequence):
                    alt = False
                    yield events.Key("escape", "\x1b")
        for event in super()._sequence_to_key_events(sequence, alt):
            if alt and event.is_printable:
                name = event.key if event.key.startswith("alt+") else f"alt+{_character_to_key(sequence[-1])}"
                yield events.Key(name, None)
            elif event.key in self._same:
                yield events.Key(self._same[event.key], None)
            else:
                yield event

    def _feed_keys(self, data: str) -> Generator[Message, None, str]:
        """Has keys read up to where a paste starts; returns the rest."""
        both = self._held + data
        at = both.find(START)
        end = len(data) if at < 0 else at + len(START) - len(self._held)
        self._held = _begun(both, START) if at < 0 else ""
        yield from self._feed_sequences(data[:end])
        if at >= 0:
            self._paste, self._size = StringIO(), 0
        return data[end:]

    def _feed_sequences(self, data: str) -> Iterator[Message]:
        """Has keys read, those with Option as those with Alt; the beginning of one is held until it is clear what it is."""
        before = "\x1b" if self._escape else ""
        text = _META.sub(_with_alt, before + self._meta + data)
        begun = _META_BEGUN.search(text)
        self._meta = begun[0] if begun else ""
        text = text[len(before) : len(text) - len(self._meta)]
        self._escape = (before + text).endswith("\x1b")
        if text:
            yield from super().feed(text)

    def _feed_paste(self, data: str) -> Generator[Message, None, str]:
        """Takes what is pasted up to its end; returns the rest."""
        data = self._held + data
        at = data.find(END)
        if at < 0:
            self._held = _begun(data, END)
            self._add(data[: len(data) - len(self._held)])
            return ""
        self._add(data[:at])
        yield from self._end()
        return data[at + len(END) :]

    def _add(self, text: str) -> None:
        assert self._paste is not None
        self._paste.write(text[: max(0, MAX_KEPT - self._size)])
        self._size += len(text)

    def _end(self) -> Iterator[Message]:
        assert self._paste is not None
        text = clean(self._paste.getvalue())
        if self._size > MAX_KEPT:
            text = text.ljust(MAX_KEPT + 1)
        self._paste, self._held = None, ""
        for event in super().feed(END):  # which has seen START, and nothing since: its paste is empty
            if not isinstance(event, events.Paste):
                yield event
        yield events.Paste(text)


def clean(text: str) -> str:
    """A text without escape sequences and controls; tabs and line breaks stay, and vertical tabs and form feeds are some."""
    return _CONTROL.sub("", _BREAKS.sub("\n", _ESCAPE.sub("", text)))


def _with_alt(found: re.Match[str]) -> str:
    """The rest of a key's sequence behind its first ESC, with Alt among its modifiers."""
    short, modifiers, letter, number, more = found.groups()
    with_alt = (int(modifiers or more or 1) - 1 | 2) + 1
    if number or short == "R":  # "1;3R" would be where the cursor is
        return f"[{number or 13};{with_alt}~"
    return f"[1;{with_alt}{short or letter}"


def _begun(text: str, sequence: str) -> str:
    """The longest beginning of a sequence, short of all of it, with which a text ends."""
    return next((sequence[:n] for n in range(len(sequence) - 1, 0, -1) if text.endswith(sequence[:n])), "")
