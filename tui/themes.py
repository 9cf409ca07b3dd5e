"""Three themes: dark, light, and one of high contrast; and those of the user.

Knows colours only. Text roles and cursors are set by hand: what Textual would mix is often too faint to read. Each
colour is one of the 256 that older terminals have, so that there is nothing for them to guess. Textual is imported
when themes are registered: the names alone are needed where there is no screen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textual.app import App

_ROLES = ("primary", "secondary", "accent", "warning", "error", "success")

_DARK = {
    "background": "#121212",
    "surface": "#1c1c1c",
    "panel": "#262626",
    "foreground": "#e4e4e4",
    "primary": "#5fafff",
    "secondary": "#87d7d7",
    "accent": "#ffaf5f",
    "warning": "#ffd75f",
    "error": "#ff8787",
    "success": "#87d787",
}
_LIGHT = {
    "background": "#ffffff",
    "surface": "#eeeeee",
    "panel": "#e4e4e4",
    "foreground": "#121212",
    "primary": "#005faf",
    "secondary": "#005f5f",
    "accent": "#870087",
    "warning": "#875f00",
    "error": "#af0000",
    "success": "#005f00",
}
_CONTRAST = {
    "background": "#000000",
    "surface": "#000000",
    "panel": "#303030",
    "foreground": "#ffffff",
    "primary": "#ffff00",
    "secondary": "#ffffff",
    "accent": "#ffff00",
    "warning": "#ffff00",
    "error": "#ffafaf",
    "success": "#ffffff",
}
_PALETTES: Mapping[str, Mapping[str, str]] = {"dark": _DARK, "light": _LIGHT, "contrast": _CONTRAST}
NAMES = tuple(_PALETTES)
DARK = NAMES[0]
COLOURS = tuple(_DARK)
"""What a theme has a colour for."""


@dataclass(frozen=True)
class OwnTheme:
    """A theme of the user's: some of `COLOURS`, in hexadecimal; the others are those of the dark theme, or of the light one."""

    colours: Mapping[str, str] = field(default_factory=dict, hash=False)
    dark: bool = True


def register(app: App[Any], own: Mapping[str, OwnTheme] = {}) -> None:
    """Makes the themes known to the app; `app.theme = name` chooses one.

    Args:
        own: those of the user.
    """
    from textual.theme import Theme

    for name, theme in own.items():
        mixed = (_DARK if theme.dark else _LIGHT) | dict(theme.colours)
        app.register_theme(Theme(name, dark=theme.dark, variables=_variables(mixed, theme.dark), **_given(mixed)))

    for name, palette in _PALETTES.items():
        dark = name != "light"
        variables = _variables(palette, dark)
        if name == "contrast":  # lines that only tint in the others
            variables |= {
                "border-blurred": "#bcbcbc",
                "scrollbar": "#bcbcbc",
                "scrollbar-background": "#303030",
                "foreground-muted": "#dadada",
                "text-muted": "auto 85%",
                "text-disabled": "auto 65%",
            }
        app.register_theme(Theme(name, dark=dark, variables=variables, **_given(palette)))


def _given(palette: Mapping[str, str]) -> dict[str, Any]:
    return dict(palette)


def _variables(palette: Mapping[str, str], dark: bool) -> dict[str, str]:
    background, primary = palette["background"], palette["primary"]
    cursor = {"background": primary, "foreground": background}
    return {
        # "auto" is black or white, whichever is read better on what is below: on a cursor's line, too.
        "text": "auto 95%",
        "text-muted": "auto 70%",
        "foreground-muted": "#bcbcbc" if dark else "#4e4e4e",
        **{f"text-{role}": palette[role] for role in _ROLES},
        **{f"block-cursor-{ground}": colour for ground, colour in cursor.items()},
        "block-cursor-blurred-background": "#444444" if dark else "#bcbcbc",
        "block-cursor-blurred-foreground": palette["foreground"],
        **{f"input-selection-{ground}": colour for ground, colour in cursor.items()},
        **{f"screen-selection-{ground}": colour for ground, colour in cursor.items()},
        "button-color-foreground": background,
        "link-color": primary,
        "link-color-hover": background,
        "link-background-hover": primary,
        "border-blurred": "#808080",
        "footer-key-foreground": palette["accent"],
    }
