"""What a recipe does when macOS starts it: `rgmlx desktop run NAME`. Knows the recipes, files and dialogs; asks through `asking`.

An agent keeps a log of its own, of bounded size. Where nobody looks at standard error, an error is a notification too.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from ..errors import DesktopError, RgmlxError
from ..shell import typed
from ..system import bounded, debug_log, macos
from ..system.paths import expanded
from . import applescript, calls, contents, digest, folders, places
from .asking import MAX_QUESTION, Ask
from .cleaning import cleaned
from .recipes import Kind, Recipe

MAX_REPLACED = 8_000
"""Characters of a text that is replaced: a model would have to write as many again."""
MAX_LOG = 200_000
_SHORT, _ALIKE = 200, 0.4
"""A text of so many characters is compared by pairs of letters, a longer one by words; so much of both is the same."""
_TOKENS = 600
_FILE_CHARS, _FILES = 60_000, 5

Tell = Callable[[str], None]


def on_text(recipe: Recipe, text: str, ask: Ask, language: str) -> str:
    """The answer about a selected text, exactly as it takes the text's place, where it does that.

    Raises:
        DesktopError: there is no text, too much of it, or no answer that could take its place.
    """
    if not text.strip():
        raise DesktopError("no text is selected: select some, and choose this again")
    question = recipe.question.format(language=language)
    if not recipe.replaces:
        return ask(question, text, _TOKENS)
    if len(text) > MAX_REPLACED:
        raise DesktopError(f"this is for texts of up to {MAX_REPLACED:,} characters: select less")
    body = text.strip()
    answer = ask(question, body, len(body) + 100, exact=True)
    if not looks_like(answer, body):
        raise DesktopError("the model's answer does not look like the text that was selected, which stays as it is")
    start = len(text) - len(text.lstrip())
    return text[:start] + answer + text[start + len(body) :]


def looks_like(answer: str, text: str) -> bool:
    """Whether an answer may be a text with its mistakes corrected: it has the length, and many of its words or letters."""
    if not len(text) // 3 <= len(answer) <= 2 * len(text) + 100:
        return False
    one, other = (Counter(_parts(each, by_letters=len(text) <= _SHORT)) for each in (text, answer))
    return 2 * (one & other).total() >= _ALIKE * (one.total() + other.total())


def _parts(text: str, *, by_letters: bool) -> list[str]:
    """The words of a text, or its pairs of letters."""
    words = text.casefold().split()
    line = " ".join(words)
    return [line[i : i + 2] for i in range(max(1, len(line) - 1))] if by_letters else words


def show(title: str, answer: str) -> None:
    """Shows an answer, and copies it where the user says so. Raises DesktopError."""
    if (
        applescript.run_script(applescript.SHOW, applescript.shown(answer), title, seconds=applescript.PATIENCE)
        == "Copy"
    ):
        calls.set_clipboard(answer)


def on_files(recipe: Recipe, files: Sequence[Path], ask: Ask) -> str:
    """Asks the user for a question about files. Returns the answer.

    Raises:
        applescript.Canceled: the user has no question.
        DesktopError: a file has no text, or there is no answer.
    """
    if not files:
        raise DesktopError("no file is chosen: choose files in the Finder, or name them after the command")
    if len(files) > _FILES:
        raise DesktopError(f"ask about {_FILES} files at most: choose fewer")
    each = _FILE_CHARS // len(files)
    texts = [contents.text_of(path, each) for path in files]
    names = ", ".join(path.name for path in files)
    asked = applescript.run_script(
        applescript.QUESTION,
        applescript.shown(f"What would you like to know about {names}?", 300),
        recipe.title,
        "What is this about?",
        seconds=applescript.PATIENCE,
    )
    if not asked.strip():
        raise applescript.Canceled("nothing was asked")
    material = "\n\n".join(f"== {path.name} ==\n{text}" for path, text in zip(files, texts, strict=True))
    return ask(asked.strip()[:MAX_QUESTION], texts[0] if len(texts) == 1 else material, _TOKENS)


def clean_clipboard() -> str:
    """Cleans what is on the clipboard. Returns a sentence. Raises DesktopError."""
    text = calls.clipboard()
    clean = cleaned(text)
    if not clean:
        raise DesktopError("there is no text on the clipboard: copy some first")
    calls.set_clipboard(clean)  # also where it is the same, as plain text has no formats
    return f"The clipboard holds {len(clean):,} characters of plain text."


def on_folders(
    recipe: Recipe, names: Sequence[Path], ask: Ask, question: str, tell: Tell, *, minutes: float, dry_run: bool
) -> int:
    """What an agent does with its folders. Returns how many files it changed or answered.

    Raises:
        DesktopError: none of the folders can be read.
    """
    if not names:
        raise DesktopError(f"name a folder, as in  {typed('rgmlx desktop')} run {recipe.name} ~/Downloads")
    count, refusals = 0, list[str]()
    for folder in names:
        try:
            if recipe.name == "name-files":
                count += folders.name_files(folder, ask, question, tell, minutes=minutes, dry_run=dry_run)
            else:
                count += folders.answer_files(folder, ask, question, tell, dry_run=dry_run)
        except DesktopError as e:
            refusals.append(str(e))
    if len(refusals) == len(names):
        raise DesktopError(refusals[0])
    for sentence in refusals:
        tell(sentence)
    return count


def digest_of(paths: Sequence[Path], ask: Ask, question: str) -> str:
    """What stands out in log files. Keeps it with those of the last days. Raises DesktopError."""
    answer = ask(question, digest.material(paths or digest.recent_logs()), _TOKENS)
    note(f"{time.strftime('%Y-%m-%d %H:%M')}\n{answer}\n\n", places.DIGESTS)
    return answer


def note(text: str, name: str = places.LOG) -> None:
    """Adds to a file of ours, which loses its oldest lines. One that can't be written stops nothing."""
    path = places.ours() / name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        bounded.append(path, text.encode("utf-8", "replace"), MAX_LOG, MAX_LOG // 4)
    except OSError as e:
        debug_log.caught(e, f"{name} is not written")


def noted(recipe: Recipe, tell: Tell) -> Tell:
    """A `tell` that keeps what it is told in the log, too."""

    def both(sentence: str) -> None:
        note(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {recipe.name}: {' '.join(sentence.split())}\n")
        tell(sentence)

    return both


def announce(error: RgmlxError, recipe: Recipe) -> None:
    """An error where nobody looks at standard error."""
    if macos.here() and recipe.kind is not Kind.GUIDE:
        with contextlib.suppress(RgmlxError):
            calls.notify(str(error), recipe.title)


def paths(names: Sequence[str]) -> list[Path]:
    """Whole paths of names. Raises PathError."""
    return [expanded(name).absolute() for name in names]
