"""For tests: what terminals send for the keys of a Mac, as they are delivered. None of it was tried on a Mac.

From what is published: gnachman/iTerm2 plists/DefaultBookmark.plist (0xf700-0x280000 and the others of Option);
xtermjs/xterm.js src/common/input/Keyboard.ts and the keys that microsoft/vscode's terminal.contribution.ts sends itself;
wezterm.org "Default Key Assignments"; sw.kovidgoyal.net/kitty/keyboard-protocol; for macOS Terminal, whose maker says
nothing, ronisbr/TerminalPager.jl#35 (modifiers of up and down), 0nn0/terminal-mac-cheatsheet#39 (Option with left and
right), earendil-works/pi#8697 (Option as Meta), opencues/opencues#51 (Ctrl+Option), agent-era/devteam#63 and
xtermjs/xterm.js#1245 (pages), google/terminal-app-function-keys; for iTerm2 with the Kitty protocol anomalyco/opentui#648, for an older one
gdamore/tcell#102; for Ghostty's Cmd with left and right src/config/Config.zig (super+arrow_left: text \x01).
"""

from __future__ import annotations

from collections.abc import Mapping

ARROWS = {"Up": "A", "Down": "B", "Right": "C", "Left": "D"}
_LETTERS = "ABCDEFGJKLNOPQRSTUWXYZ]_"
_FUNCTION = {
    "fn+F1": "OP",
    "fn+F2": "OQ",
    "fn+F3": "OR",
    "fn+F4": "OS",
    "fn+F5": "[15~",
    "fn+F6": "[17~",
    "fn+F7": "[18~",
}
_EDITING = {"fn+Delete": "[3~", "fn+Up": "[5~", "fn+Down": "[6~", "fn+Left": "[H", "fn+Right": "[F"}
_PAGES = {"Shift+fn+Up": "\x1b[5;2~", "Shift+fn+Down": "\x1b[6;2~"}

_C0 = {f"Ctrl+{letter}": chr(ord(letter) & 0x1F) for letter in _LETTERS} | {
    "Enter": "\r",
    "Esc": "\x1b",
    "?": "?",
    "Shift+Enter": "\r",
    **{key: f"\x1b{rest}" for key, rest in {**_FUNCTION, **_EDITING}.items()},
    **{key: f"\x1b[{letter}" for key, letter in ARROWS.items()},
}
# With what Textual asks for: all keys as sequences, with the text that they type.
_KITTY = {f"Ctrl+{letter}": f"\x1b[{ord(letter.lower())};5u" for letter in _LETTERS} | {
    "Ctrl+_": "\x1b[45;6u",
    "Enter": "\x1b[13u",
    "Esc": "\x1b[27u",
    "?": "\x1b[47;2;63u",
    "Shift+Enter": "\x1b[13;2u",
    "Option+Enter": "\x1b[13;3u",
    "Option+Delete": "\x1b[127;3u",
    "Cmd+Z": "\x1b[122;9u",
    "Cmd+C": "\x1b[99;9u",  # where nothing is selected in the terminal itself
    "fn+F1": "\x1b[P",
    "fn+F2": "\x1b[Q",
    "fn+F3": "\x1b[13~",
    "fn+F4": "\x1b[S",
    "fn+F5": "\x1b[15~",
    "fn+F6": "\x1b[17~",
    "fn+F7": "\x1b[18~",
    **{key: f"\x1b{rest}" for key, rest in _EDITING.items()},
    **{key: f"\x1b[{letter}" for key, letter in ARROWS.items()},
}
_XTERM = {f"Option+{key}": f"\x1b[1;3{letter}" for key, letter in ARROWS.items()}
_TWO_ESCAPES = {f"Option+{key}": f"\x1b\x1b[{letter}" for key, letter in ARROWS.items()}
_CMD = {f"Cmd+{key}": f"\x1b[1;9{letter}" for key, letter in ARROWS.items()}
_BY_WORD = {"Option+Left": "\x1bb", "Option+Right": "\x1bf"}
_META = {"Option+Enter": "\x1b\r", "Option+D": "\x1bd", "Option+Delete": "\x1b\x7f"}
_LETTER = {"Option+D": "∂"}  # a third level of the keyboard
_LETTER_IN_KITTY = {"Option+D": "\x1b[100;3;8706u"}


def _without(keys: Mapping[str, str], *names: str) -> dict[str, str]:
    return {name: sent for name, sent in keys.items() if name not in names}


TERMINALS = {
    "Terminal.app": {
        **_without(_C0, "fn+Up", "fn+Down", "fn+Left", "fn+Right"),  # it scrolls
        **_PAGES,
        **_BY_WORD,
        **_LETTER,
        "Option+Up": "\x1b[A",
        "Option+Down": "\x1b[B",
        "Option+Enter": "\r",
        "Ctrl+Option+Up": "\x1b\x1b[A",
    },
    "Terminal.app, its pages for programs": {key: f"\x1b{rest}" for key, rest in _EDITING.items()},
    "Terminal.app, Option as Meta": {**_C0, **_PAGES, **_TWO_ESCAPES, **_META, "Option+fn+Delete": "\x1b\x1b[3~"},
    "iTerm2": {**_C0, **_TWO_ESCAPES, **_LETTER, "Option+Enter": "\r"},
    "iTerm2, application mode": {f"Option+{key}": f"\x1b\x1bO{letter}" for key, letter in ARROWS.items()},
    "iTerm2, CSI u": {**_KITTY, **_TWO_ESCAPES, **_LETTER_IN_KITTY},
    "iTerm2 before 3": {f"Option+{key}": f"\x1b[1;9{letter}" for key, letter in ARROWS.items()},
    "Ghostty": {**_KITTY, **_XTERM, **_BY_WORD, "Cmd+Left": "\x01", "Cmd+Right": "\x05"},
    "kitty": {**_KITTY, **_XTERM, **_LETTER_IN_KITTY, "Cmd+Left": _CMD["Cmd+Left"], "Cmd+Right": _CMD["Cmd+Right"]},
    "kitty, Cmd for programs": {**_CMD, "Cmd+X": "\x1b[120;9u", "Cmd+A": "\x1b[97;9u", "Cmd+Y": "\x1b[121;9u"},
    "WezTerm": _without({**_C0, **_XTERM, **_META}, "Option+Enter"),  # its full screen
    "VS Code": {
        **_without(_C0, "fn+F1"),  # its palette
        **_XTERM,
        **_BY_WORD,
        **_LETTER,
        "Option+Enter": "\x1b\r",
        "Option+Delete": "\x17",
        "Option+fn+Delete": "\x1bd",
    },
    "VS Code before 2024": {"Option+Up": "\x1b[1;5A", "Option+Down": "\x1b[1;5B", **_BY_WORD},
}
IN_ITERM = ("iTerm2 before 3",)
"""Those whose bytes mean this where the environment says that it is iTerm2 (TERM_PROGRAM)."""
IN_TMUX = ("Terminal.app", "Terminal.app, Option as Meta", "iTerm2", "WezTerm", "VS Code")
"""Those that send other bytes than the others to tmux, which does not ask for the Kitty protocol."""


def in_tmux(keys: Mapping[str, str]) -> dict[str, str]:
    """With the key that is tmux's own pressed twice."""
    return {**keys, "Ctrl+B": keys["Ctrl+B"] * 2}
