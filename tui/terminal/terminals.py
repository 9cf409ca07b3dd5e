"""Which terminal this is, as far as the environment tells, and which keys reach a program in it.

Knows terminals as they are delivered, by what their makers and users have published (`docs/keys.md` has the sources); what
somebody has set in theirs it can't know. Nothing of this was tried on a Mac. How a key is written is in `keys`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

PLATFORM = sys.platform
_WITH_FN = frozenset({"delete", "pageup", "pagedown", "home", "end", *(f"f{number}" for number in range(1, 13))})
"""On a Mac's own keyboard; F1 to F12 by themselves are brightness and the like there."""
_SPACES = frozenset({"ctrl+up", "ctrl+down", "ctrl+left", "ctrl+right"})
"""What macOS takes for itself: Mission Control, App Exposé and the next space."""
_PLAIN = frozenset({"alt+up", "alt+down", "alt+enter", "shift+enter", "alt+d", "ctrl+shift+z"})
"""What a Mac's terminal may send without the modifier, or as another character."""
_LOST = {
    "Apple_Terminal": _PLAIN,
    "iTerm.app": frozenset({"alt+enter", "alt+d"}),
    "WezTerm": frozenset({"alt+enter"}),  # its full screen
    "kitty": frozenset({"alt+d"}),
    "ghostty": frozenset[str](),
    "vscode": frozenset({"f1", "alt+d"}),  # F1 is its palette
}
_LOST_ELSEWHERE = {"vscode": frozenset({"f1", "ctrl+p", "ctrl+j"}), "WezTerm": frozenset({"alt+enter"})}
"""Of those that are not on a Mac, where VS Code's own keys are Ctrl and not Cmd."""

_FAR = frozenset({"up", "down", "left", "right", "home", "end", "pageup", "pagedown", "insert", "delete"})
_CONTROLS = frozenset({"backslash", "right_square_bracket", "circumflex_accent", "underscore", "space", "at"})
"""What gives a control character with Ctrl, beside the letters."""


def is_sent(key: str) -> bool:
    """Whether terminals tell a key by itself without a protocol that only some have (that of kitty)."""
    *modifiers, last = key.split("+")
    if last in _FAR or (last[:1] == "f" and last[1:].isdecimal()):
        return "super" not in modifiers
    if modifiers == ["alt"]:
        return True
    letter = len(last) == 1 and last.isalpha()
    return not modifiers or (modifiers in (["ctrl"], ["alt", "ctrl"]) and (letter or last in _CONTROLS))


@dataclass(frozen=True)
class Terminal:
    """A terminal as it is delivered.

    Attributes:
        name: as TERM_PROGRAM has it; "" for one that is not known.
        mac: a Mac's keyboard is in front of it, whose Alt is Option.
        lost: keys that do not reach a program, or as other keys.
        prefix: the key that has to be pressed twice, or "".
    """

    name: str = ""
    mac: bool = False
    lost: frozenset[str] = frozenset()
    prefix: str = ""

    def reaches(self, key: str) -> bool:
        """Whether a key, as Textual names it, reaches a program. Cmd is the terminal's own on a Mac."""
        return key not in self.lost and not (self.mac and "super" in key.split("+"))

    def needs_fn(self, key: str) -> bool:
        """Whether fn has to be held as well."""
        return self.mac and key.rpartition("+")[2] in _WITH_FN

    def best(self, keys: Sequence[str]) -> str:
        """The first of keys that do the same which reaches a program, without fn if there is one."""
        reaching = [key for key in keys if self.reaches(key)] or keys
        return next((key for key in reaching if not self.needs_fn(key)), reaching[0])


def here(environ: Mapping[str, str] | None = None, platform: str = "") -> Terminal:
    """The terminal that this program is in. One that is not known counts for the least of those on its system."""
    environ, mac = os.environ if environ is None else environ, (platform or PLATFORM) == "darwin"
    name = environ.get("TERM_PROGRAM", "")
    tmux = "TMUX" in environ or name == "tmux"
    if environ.get("TERM") == "xterm-kitty":
        name = "kitty"
    elif name in ("", "tmux"):  # what ssh and tmux pass on, and so do programs that are begun there
        name = "kitty" if "KITTY_WINDOW_ID" in environ else ""
        name = "iTerm.app" if environ.get("LC_TERMINAL") == "iTerm2" else name
    mac = mac or name in ("Apple_Terminal", "iTerm.app")
    lost = _SPACES | _LOST.get(name, _PLAIN) if mac else _LOST_ELSEWHERE.get(name, frozenset())
    return Terminal(name if name in _LOST else "", mac, lost, "ctrl+b" if tmux else "")
