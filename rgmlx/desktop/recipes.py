"""The recipes: what each is for, how macOS starts it, and which settings it takes. A table; nothing here writes anything."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from ..errors import DesktopError
from ..shell import typed


class Kind(Enum):
    """How macOS starts a recipe."""

    TEXT = "a Service for selected text"
    NO_INPUT = "a Service without input"
    FILES = "a Quick Action for files in the Finder"
    AGENT = "a launch agent"
    GUIDE = "steps to follow; nothing is installed"


@dataclass(frozen=True)
class Recipe:
    """One recipe.

    Attributes:
        name: as a command names it.
        kind: how macOS starts it.
        title: as menus show it; also the name of its file.
        about: what it does, in one line.
        question: what the model is asked, beside the text or file; "" where the recipe asks in its own way, or nothing.
        replaces: whether what it answers takes the place of the selected text.
        settings: the options of `rgmlx desktop install` that it takes.
        use: how one gets at it, in one sentence.
    """

    name: str
    kind: Kind
    title: str
    about: str
    question: str = ""
    replaces: bool = False
    settings: tuple[str, ...] = ("model",)
    use: str = ""

    @property
    def label(self) -> str:
        """What launchd calls it."""
        return f"rgmlx.{self.name}"


_SELECTED = "Select text in any application, then choose Services > {} in the menu that a right click opens."

RECIPES = (
    Recipe(
        "summarize",
        Kind.TEXT,
        "Summarize with rgmlx",
        "shows a summary of the selected text, to copy",
        "Summarize this text in a few sentences. Answer with the summary alone.",
        use=_SELECTED,
    ),
    Recipe(
        "fix-grammar",
        Kind.TEXT,
        "Fix Grammar with rgmlx",
        "corrects spelling and grammar in the place of the selected text",
        "Correct the spelling and grammar of this text and change nothing else. Answer with the corrected text alone.",
        replaces=True,
        use=_SELECTED,
    ),
    Recipe(
        "reply",
        Kind.TEXT,
        "Reply with rgmlx",
        "shows a reply to the selected message, to copy",
        "Write a short, friendly reply to this message. Answer with the reply alone.",
        use=_SELECTED,
    ),
    Recipe(
        "translate",
        Kind.TEXT,
        "Translate with rgmlx",
        "shows a translation of the selected text, to copy",
        "Translate this text to {language}. Answer with the translation alone.",
        settings=("model", "language"),
        use=_SELECTED,
    ),
    Recipe(
        "clean-clipboard",
        Kind.NO_INPUT,
        "Clean Clipboard with rgmlx",
        "makes plain text of the clipboard: no formats, invisible characters, ragged spaces or empty lines; asks no model",
        settings=(),
        use="Choose {} in the Services menu of any application.",
    ),
    Recipe(
        "ask-file",
        Kind.FILES,
        "Ask rgmlx about File",
        "asks you for a question about the chosen files and shows the answer, to copy",
        use="Right-click files in the Finder, then choose Quick Actions > {}.",
    ),
    Recipe(
        "name-files",
        Kind.AGENT,
        "Name files",
        "gives new screenshots and downloads a name after what is in them",
        "Suggest a file name of three to six words for this. Answer with the name alone, without quotes or extension.",
        settings=("model", "folder"),
        use="Make a screenshot, or download a file whose name says nothing, and wait for half a minute.",
    ),
    Recipe(
        "watch-folder",
        Kind.AGENT,
        "Watch a folder",
        "answers a question about each new file of a folder, in a file beside it",
        "Summarize this in a few sentences.",
        settings=("model", "folder", "question"),
        use="Put a text, a PDF or a picture of text into the folder: the answer comes beside it, as NAME.answer.txt.",
    ),
    Recipe(
        "log-digest",
        Kind.AGENT,
        "Log digest",
        "tells once a day what stands out in log files",
        "These are the ends of log files. Say in a few sentences what went wrong and which program it was. If nothing "
        "stands out, say so.",
        settings=("model", "log", "at"),
        use="It comes as a notification, and the last ones are in the file named above.",
    ),
    Recipe(
        "shortcuts",
        Kind.GUIDE,
        "Shortcuts",
        "how to ask rgmlx from a shortcut of your own",
        settings=(),
    ),
)
_BY_NAME: Mapping[str, Recipe] = {recipe.name: recipe for recipe in RECIPES}
_OTHER_SPELLINGS = {"summarise": "summarize"}


def named(name: str) -> Recipe:
    """A recipe. Raises DesktopError: there is none of that name; the nearest one is named."""
    known = _BY_NAME.get(_OTHER_SPELLINGS.get(name, name))
    if known is not None:
        return known
    near = difflib.get_close_matches(name.lower().replace("_", "-"), _BY_NAME, n=1, cutoff=0.5)
    near = near or [known for known in _BY_NAME if name and name.lower() in known]
    hint = f"did you mean {near[0]}?" if near else f"`{typed('rgmlx desktop')} list` shows those there are"
    raise DesktopError(f"there is no recipe {name!r}: {hint}", quotes=(name,))
