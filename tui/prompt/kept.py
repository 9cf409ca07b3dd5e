"""Prompts kept as files of a folder: NAME.md is the command /NAME, which sends what is in it.

Knows the folder, the files and what may be a name; what becomes of a text is the chat's. In memory are names and first
lines only: a file is read again when it is sent. Nothing in the folder stops the chat: what is no prompt is said.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from rgmlx.errors import RgmlxError
from rgmlx.system.decoding import NotText
from rgmlx.system.formatting import cut, one_line
from rgmlx.system.paths import config
from rgmlx.system.reading import read_text
from rgmlx.system.textfiles import reason

from ..commands import RESERVED, Command

INPUT = "{{input}}"
"""What the words that follow the command take the place of."""
HOW = (
    "A file NAME.md in the folder prompts, beside rgchat.toml, is the command /NAME WORDS: it sends the file's text with the "
    f"words in place of {INPUT}."
)
"""How one is made, for the help."""
MAX_FILE = 200_000
"""Bytes of a prompt."""
MAX_FILES = 200
MAX_NAME = 40
MAX_CHARS = 8_000_000
"""Of what is sent: a file may have many places for long words."""
_MAX_SCAN = 10_000  # entries of the folder that are looked at
_MAX_SAID = 5  # sentences about what is wrong in it
_FIRST_LINE = 80  # characters of it that are shown


@dataclass(frozen=True)
class KeptPrompt:
    """A prompt.

    Attributes:
        name: without the slash, in small letters.
        about: its first line, safe to show.
        needs_words: whether it has a place for what follows the command.
    """

    name: str
    path: Path
    about: str
    needs_words: bool

    @property
    def command(self) -> Command:
        """It as the lists of commands show it."""
        return Command(self.name, self.about, "WORDS" if self.needs_words else "[WORDS]")

    def text(self, words: str) -> str:
        """What is sent: what the file has now, with the words in their place. Raises RgmlxError: it can't be read."""
        text = _read(self.path)
        count = text.count(INPUT)
        if len(text) + count * len(words) > MAX_CHARS:
            raise RgmlxError(f"{self.path} with these words is longer than {MAX_CHARS:,} characters: give fewer words")
        if count:
            return text.replace(INPUT, words)
        return f"{text}\n\n{words}" if words else text


class KeptPrompts:
    """The prompts of a folder.

    Attributes:
        folder: where they are; None for nowhere.
        problems: sentences about files that are none, for the user. Whoever shows one takes it out.
    """

    def __init__(self, folder: Path | None = None, reserved: Collection[str] = RESERVED) -> None:
        """Reads what is there.

        Args:
            reserved: names that no prompt may have.
        """
        self.folder, self._reserved = folder, reserved
        self.problems: list[str] = []
        self._said: list[str] = []  # when it was read last: it is not a problem anew
        self._found: dict[str, KeptPrompt] = {}
        self.look()

    @property
    def commands(self) -> list[Command]:
        """All of them as commands, by their names."""
        return [one.command for _, one in sorted(self._found.items())]

    @property
    def offered(self) -> list[tuple[str, str]]:
        """Names and what each is, for who types a slash."""
        return [(command.name, command.summary) for command in self.commands]

    def given(self, text: str) -> tuple[KeptPrompt, str] | None:
        """The prompt that a text is the command of, and the words behind it, which may be lines; None for another text."""
        name, words = _split(text)
        found = self._found.get(name)
        return (found, words) if found is not None else None

    def is_new(self, text: str) -> bool:
        """Whether a text may be the command of a prompt that was not there yet when the folder was read."""
        name, _ = _split(text)
        return self.folder is not None and name not in self._found and self._wrong(name) is None

    def find(self, text: str) -> tuple[KeptPrompt, str] | None:
        """As `given`; for a new name the folder is read again."""
        if self.is_new(text):
            self.look()
        return self.given(text)

    def look(self) -> None:
        """Reads again which prompts there are."""
        kept: dict[str, KeptPrompt] = {}
        said: list[str] = []
        for path in self._files(said):
            name = _name(path.stem)
            try:
                if (wrong := self._wrong(name)) is not None:
                    raise RgmlxError(f"{path} is not used: {wrong}: rename it")
                if name in kept:
                    raise RgmlxError(f"{path} is not used: {kept[name].path.name} is /{name} already: rename it")
                if len(kept) == MAX_FILES:
                    raise RgmlxError(
                        f"{path} is not used: there are {MAX_FILES} prompts before it, and no room for more"
                    )
                text = _read(path)
            except RgmlxError as e:
                said.append(str(e))
            else:
                first = next(line for line in text.split("\n") if line.strip())
                about = cut(one_line(first, 4 * _FIRST_LINE).strip(), _FIRST_LINE)
                kept[name] = KeptPrompt(name, path, about, INPUT in text)
        if len(said) > _MAX_SAID:
            said[_MAX_SAID - 1 :] = [f"{len(said) - _MAX_SAID + 1} more files in {self.folder} are no prompts"]
        self.problems += [f"{one_line(one, len(one))}." for one in said if one not in self._said]
        self._found, self._said = kept, said

    def _files(self, said: list[str]) -> list[Path]:
        if self.folder is None:
            return []
        try:
            with os.scandir(self.folder) as entries:
                names = [entry.name for entry, _ in zip(entries, range(_MAX_SCAN), strict=False)]
        except FileNotFoundError:
            return []
        except (OSError, ValueError) as e:
            said.append(f"the prompts in {self.folder} can't be read ({reason(e)}): see to that, or remove it")
            return []
        return [self.folder / name for name in sorted(names) if name.endswith(".md") and not name.startswith(".")]

    def _wrong(self, name: str) -> str | None:
        """Why this can't be the name of a prompt, for a sentence."""
        if name in self._reserved:
            return f"/{name} is a command of rgchat"
        if not name or len(name) > MAX_NAME or not all(map(_is_of_a_name, name)):
            return f"the name of a command has up to {MAX_NAME} letters, digits, - and _"
        return None


def folder() -> Path:
    """Where a user keeps them."""
    return config() / "prompts"


def _name(typed: str) -> str:
    """A name as it is looked for: a Mac's disks write letters with marks in another way than its keyboard."""
    return unicodedata.normalize("NFC", typed).lower()


def _split(text: str) -> tuple[str, str]:
    """The name that follows the slash at the beginning of a text, and the rest; "" where there is none."""
    if not text.startswith("/") or not text[1:2].strip():
        return "", ""
    name, *words = text[1:].split(maxsplit=1)
    return _name(name), words[0].strip() if words else ""


def _is_of_a_name(char: str) -> bool:
    return char.isalnum() or char in "-_." or unicodedata.category(char) in ("Mn", "Mc")


def _read(path: Path) -> str:
    """The text of a prompt, without blank lines around it. Raises RgmlxError: it is none."""
    try:
        text = read_text(path, MAX_FILE).strip("\n")
    except NotText as e:
        raise RgmlxError(f"{path} is {e}") from None
    except (OSError, ValueError) as e:
        raise RgmlxError(f"{path} can't be read ({reason(e)}): see to that, or remove it") from None
    if not text.strip():
        raise RgmlxError(f"{path} is empty: write a prompt into it")
    return text
