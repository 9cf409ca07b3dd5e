"""What new conversations begin with, kept in a TOML file that people edit by hand.

Knows the settings, their ranges and the file; knows no screen, and no model: MLX takes longer to import than the chat
to start. What the file says wrongly is ignored and told, never overwritten unasked. Saving changes the lines of what
has changed and leaves the rest, comments and unknown keys included, as it was.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rgmlx.errors import RgmlxError
from rgmlx.settings import OFFERED, Setting
from rgmlx.store import SNAPSHOT_DISK_BYTES
from rgmlx.store.text import clean
from rgmlx.system import macos, paths
from rgmlx.system.decoding import NotText
from rgmlx.system.disk import sync_directory
from rgmlx.system.formatting import cut
from rgmlx.system.printable import printable
from rgmlx.system.reading import TooLarge, read_text
from rgmlx.system.textfiles import reason, replace_text

from ..themes import DARK, NAMES, OwnTheme
from . import own_keys, own_themes, personas
from .personas import Persona
from .toml_lines import Key, Known, Lines, sample, written

MAX_FILE = 1_000_000  # bytes; a longer one is no file of settings
_MAX_INTEGER = 2**63 - 1  # what TOML can hold
_SHOWN = 40  # characters of a wrong value in a sentence
TEXT_WIDTH = 100
"""Columns, beyond which the eye loses the line."""


class SettingsError(RgmlxError):
    """Settings that can't be saved, or a value that is none."""


@dataclass(frozen=True)
class Defaults:
    """What a new conversation begins with.

    Attributes:
        system: the text before all messages, or None.
        snapshot_bytes: disk space for states to go on from.
        sampling: any of `SAMPLING`; one that is missing is the model's own.
        copy_on_select: whether what the mouse selects is copied at once; None where that is left to the computer.
        notify: whether the end of something long is told by the terminal while it is not in front.
        text_width: columns that a text takes at the most.
        titles: whether the model makes titles of conversations while it is idle; None where that is left to the model.
        personas: by their names. They are written by hand: `save` leaves those of the file as they are; so are
        themes: the user's own, by their names, and
        keys: of commands, as the file has them: who has the table of commands checks them (`own_keys`).
    """

    model: str = "demo"
    system: str | None = None
    theme: str = DARK
    snapshot_bytes: int = SNAPSHOT_DISK_BYTES
    sampling: dict[str, Any] = field(default_factory=dict, hash=False)
    copy_on_select: bool | None = None
    notify: bool = True
    text_width: int = TEXT_WIDTH
    titles: bool | None = None
    personas: dict[str, Persona] = field(default_factory=dict, hash=False)
    themes: dict[str, OwnTheme] = field(default_factory=dict, hash=False)
    keys: Any = field(default_factory=dict, hash=False)

    @property
    def copies_selection(self) -> bool:
        """Whether what the mouse selects is copied at once: on a Mac that one sits at, unless the user says otherwise."""
        return macos.here() and not macos.is_remote() if self.copy_on_select is None else self.copy_on_select


@dataclass(frozen=True)
class Text:
    """A setting that is a text; those that are numbers are `rgmlx.settings.Setting`.

    Attributes:
        wanted: what a good value is, to stand after "must be".
        about: what it does, in one line.
        sample: a value to begin with, for the file.
        within: whether a text is a good one.
    """

    wanted: str
    about: str
    sample: str
    within: Callable[[str], bool]

    def convert(self, value: Any) -> Any:
        """The text. Raises ValueError: it is none, or not a good one."""
        if not isinstance(value, str) or not self.within(value):
            raise ValueError
        return value


@dataclass(frozen=True)
class Switch:
    """A setting that is true or false; as `Text`."""

    about: str
    sample: bool
    wanted: str = "true or false"

    def convert(self, value: Any) -> Any:
        """The value. Raises ValueError: it is neither."""
        if not isinstance(value, bool):
            raise ValueError
        return value


AnySetting = Setting | Text | Switch
SAMPLING: Mapping[str, Setting] = OFFERED
"""The settings of a conversation's replies."""
_GENERAL: Mapping[str, AnySetting] = {
    "model": Text(
        "a name that is not empty",
        "The model: demo, a directory, or a repository on Hugging Face.",
        "demo",
        lambda v: bool(v.strip()) and "\0" not in v,
    ),
    "system": Text("a text", "What the model is told before all messages.", "Be brief.", lambda v: True),
    "theme": Text("one of " + ", ".join(NAMES), f"The colours: {', '.join(NAMES)}.", DARK, lambda v: v in NAMES),
    "snapshot_bytes": Setting(
        int,
        0,
        _MAX_INTEGER,
        "Disk space for states of the model, which let a conversation go on without reading it again.",
        unit="bytes",
        sample=SNAPSHOT_DISK_BYTES,
    ),
    "copy_on_select": Switch(
        "Copies what the mouse selects as its button is released; unset, on a Mac and not over SSH.", sample=True
    ),
    "notify": Switch(
        "Tells you through the terminal that something has ended which took a minute, while you look elsewhere.",
        sample=False,
    ),
    "text_width": Setting(int, 20, 1_000, "Columns that a text takes at the most.", unit="columns", sample=TEXT_WIDTH),
    "titles": Switch(
        "Has the model make a title of a conversation while it is idle; unset, not if it is the embedded one.",
        sample=True,
    ),
}
_BY_HAND = (personas.TABLE, own_themes.TABLE, own_keys.TABLE)
"""Tables that people write, and rgchat never."""
_SETTINGS: Mapping[Key, AnySetting] = {
    **{(name,): setting for name, setting in _GENERAL.items()},
    **{("sampling", name): setting for name, setting in SAMPLING.items()},
}
_KNOWN = {key: Known(setting.about, setting.sample) for key, setting in _SETTINGS.items()}


def check(name: str, setting: AnySetting, value: Any) -> Any:
    """The value, a whole number made a float where one is wanted. Raises SettingsError with what it must be."""
    try:
        return setting.convert(value)
    except ValueError:
        shown = cut(written(value if isinstance(value, (str, int, float)) else f"a {type(value).__name__}"), _SHOWN)
        raise SettingsError(f"{name} must be {setting.wanted}, not {shown}", quotes=(shown,)) from None


def parse(name: str, text: str) -> Any:
    """A sampling setting as it is typed; None for an empty text.

    Raises:
        SettingsError: it is no number, or out of range.
    """
    setting, text = SAMPLING[name], text.strip()
    if not text:
        return None
    try:
        value = setting.kind(text) if text.isascii() and "_" not in text else None
    except (ValueError, OverflowError):
        value = None
    if value is None:
        point = ", written with a point" if "," in text else ""
        shown = cut(printable(text), _SHOWN)
        raise SettingsError(f"{name} must be {setting.wanted}{point}, not {shown}", quotes=(shown,))
    return check(name, setting, value)


def unset(name: str, own: Mapping[str, Any]) -> str:
    """What holds where a conversation says nothing of a setting, in words.

    Args:
        own: the settings of the model; empty while none is loaded.
    """
    return SAMPLING[name].unset or (f"{own[name]:g}, the model's own" if name in own else "the model's own")


def path() -> Path:
    """Where the file is."""
    return paths.config() / "rgchat.toml"


def of_file(path: Path) -> str:
    """What to say of the file, for people who change it by hand."""
    return f"Defaults of new conversations and the other settings are in {path}"


# --- reading ------------------------------------------------------------------------------


def load(path: Path) -> tuple[Defaults, list[str]]:
    """The defaults of a file, and sentences about what in it was wrong and is ignored. A missing file says nothing."""
    try:
        text = _read(path)
        return _defaults(_parse(path, text), path) if text is not None else (Defaults(), [])
    except SettingsError as e:
        return Defaults(), [f"{e}. The defaults of rgchat hold until then."]


def _read(path: Path) -> str | None:
    try:
        return read_text(path, MAX_FILE)
    except FileNotFoundError:
        return None
    except TooLarge:
        raise SettingsError(f"{path} is too long for a file of settings: correct or remove it") from None
    except NotText as e:
        raise SettingsError(f"{path} is not UTF-8 text (line {e.line}): correct or remove it") from None
    except OSError as e:
        raise SettingsError(f"{path} can't be read ({reason(e)}): correct or remove it") from None


def _parse(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as e:
        raise SettingsError(f"{path} is not TOML ({cut(printable(str(e)), 120)}): correct or remove it") from None
    except (RecursionError, ValueError):  # brackets without end, a number of ten thousand digits
        raise SettingsError(f"{path} is not TOML that can be read: correct or remove it") from None


def _defaults(data: dict[str, Any], path: Path) -> tuple[Defaults, list[str]]:
    good: dict[Key, Any] = {}
    kept, said = personas.read(data.get(personas.TABLE, {}), SAMPLING, _check_persona)
    themes, of_themes = own_themes.read(data.get(own_themes.TABLE, {}))
    keys = data.get(own_keys.TABLE, {})
    wrong = [f"{path}: {what}. It is ignored." for what in said + of_themes]
    for key, value in _flat({name: value for name, value in data.items() if name not in _BY_HAND}).items():
        name = printable(".".join(key))
        if key == ("theme",) and isinstance(value, str) and value not in NAMES:
            if value in themes:
                good[key] = value
            else:
                wrong.append(f"{path}: {own_themes.unknown(value, themes)}. It is ignored.")
        elif key in _SETTINGS:
            try:
                good[key] = check(name, _SETTINGS[key], value)
            except SettingsError as e:
                wrong.append(f"{path}: {e}. It is ignored.")
        elif key == ("sampling",):
            wrong.append(f"{path}: sampling must be a table of settings, not a value. It is ignored.")
        else:
            wrong.append(f"{path}: there is no setting {cut(name, _SHOWN)}; {_nearest(key)}. It is ignored.")
    if len(wrong) > 5:
        more = f"{len(wrong) - 4} more settings are wrong and ignored"
        wrong[4:] = [f"{path}: {more}; once those before are corrected, the next start names them."]
    return _assemble(good, Defaults(personas=kept, themes=themes, keys=keys)), wrong


def _assemble(good: Mapping[Key, Any], by_hand: Defaults) -> Defaults:
    """The defaults of these settings, with what was written by hand of others."""
    general = {key[0]: value for key, value in good.items() if len(key) == 1}
    sampling = {key[1]: value for key, value in good.items() if len(key) == 2}
    return replace(
        Defaults(**general, sampling=sampling), personas=by_hand.personas, themes=by_hand.themes, keys=by_hand.keys
    )


def _check_persona(shown: str, name: str, value: Any) -> Any:
    return check(shown, _SETTINGS[("system",) if name == "system" else ("sampling", name)], value)


def _flat(data: Mapping[str, Any], before: Key = ()) -> dict[Key, Any]:
    """`{("sampling", "seed"): 1}` of `{"sampling": {"seed": 1}}`; no deeper, all that is deeper is unknown."""
    flat: dict[Key, Any] = {}
    for name, value in data.items():
        if isinstance(value, dict) and not before and name not in _GENERAL:
            flat |= _flat(value, (name,))
        else:
            flat[*before, name] = value
    return flat


def _nearest(key: Key) -> str:
    names = {known[-1]: ".".join(known) for known in _SETTINGS} | {name: name for name in _BY_HAND}
    if len(key) > 1 and (near := difflib.get_close_matches(key[0], _BY_HAND, 1)):
        return f"the nearest is {near[0]}.{printable(key[1])}"
    if near := difflib.get_close_matches(key[-1], names, 1):
        return f"the nearest is {names[near[0]]}"
    return f"there are {', '.join(names.values())}"


# --- writing ------------------------------------------------------------------------------


def save(path: Path, defaults: Defaults) -> None:
    """Writes what differs from what the file says, beside it and then renamed over it.

    Raises:
        SettingsError: a value is out of range, the file is no TOML, or the place can't be written; nothing was changed.
    """
    wanted = _checked(defaults)
    found = _read(path)
    text = _fresh() if found is None else found
    had, _ = _defaults(_parse(path, text), path)
    now = {key: value for key, value in _settings(had).items() if value is not None}
    changed = {key: wanted.get(key) for key in _SETTINGS if wanted.get(key) != now.get(key)}
    if found is not None and not changed:
        return
    new = Lines(text, _KNOWN).changed(changed)
    try:
        after, _ = _defaults(_parse(path, new), path)
        done = after == _assemble(wanted, had) and repr(_others(new)) == repr(_others(text))  # nan is no nan
    except SettingsError:
        done = False
    if not done:  # an inline table, say: valid, but not to be changed by lines
        names = ", ".join(".".join(key) for key in changed)
        raise SettingsError(f"{path} is written in a way that can't be changed here: set {names} there by hand")
    _replace(path, new)


def _settings(defaults: Defaults) -> dict[Key, Any]:
    general: dict[Key, Any] = {(name,): getattr(defaults, name) for name in _GENERAL}
    return general | {("sampling", name): value for name, value in defaults.sampling.items()}


def _checked(defaults: Defaults) -> dict[Key, Any]:
    good = {}
    for key, value in _settings(defaults).items():
        if value is None and key != ("model",):
            continue
        if key not in _SETTINGS:
            raise SettingsError(f"there is no setting {'.'.join(key)}; {_nearest(key)}")
        own = key == ("theme",) and value in defaults.themes
        text = clean(value) if isinstance(value, str) else value
        good[key] = value if own else check(".".join(key), _SETTINGS[key], text)
    return good


def _others(text: str) -> dict[Key, Any]:
    return {key: value for key, value in _flat(tomllib.loads(text)).items() if key not in _SETTINGS}


def _fresh() -> str:
    """A file in which every setting is explained and none is set."""
    lines = [
        "# What new conversations of rgchat begin with. A line without # holds; rgchat's settings change it too.",
        "",
    ]
    table: Key = ()
    for key, setting in _SETTINGS.items():
        if key[:-1] != table:
            table = key[:-1]
            lines += [
                "# A persona, for /persona teacher, or --persona teacher as it starts; any setting below may be in it."
            ]
            lines += [f"# {personas.SAMPLE}", ""]
            lines += [
                "# A key for a command, and a theme of your own.",
                f"# {own_keys.SAMPLE}",
                f"# {own_themes.SAMPLE}",
                "",
            ]
            lines += [f"[{table[0]}]", "# Of the words of a reply. What is not set here is the model's own."]
        lines += [f"# {setting.about}", sample(key, setting.sample), ""]
    return "\n".join(lines)


def _replace(path: Path, text: str) -> None:
    try:
        path = path.resolve()  # people keep such files elsewhere and link to them
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_text(path, text)
        sync_directory(path.parent)
    except (OSError, RuntimeError) as e:
        raise SettingsError(f"{path} can't be written: {reason(e)}; nothing was changed") from None
