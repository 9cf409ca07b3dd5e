"""Three themes: dark, light, and one of high contrast.

Knows colours only. Text roles and cursors are set by hand: what Textual would mix is often too faint to read. Each
colour is one of the 256 that older terminals have, so that there is nothing for them to guess. Textual is imported
when themes are registered: the names alone are needed where there is no screen.
"""

from __future__ import annotations

from collections.abc import Mapping
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


def register(app: App[Any]) -> None:
    """Makes the themes known to the app; `app.theme = name` chooses one."""
    from textual.theme import Theme

    for name, palette in _PALETTES.items():
        variables = _variables(palette)
        if name == "contrast":  # lines that only tint in the others
            variables |= {
                "border-blurred": "#bcbcbc",
                "scrollbar": "#bcbcbc",
                "scrollbar-background": "#303030",
                "foreground-muted": "#dadada",
                "text-muted": "auto 85%",
                "text-disabled": "auto 65%",
            }
        colours: dict[str, Any] = dict(palette)
        app.register_theme(Theme(name, dark=name != "light", variables=variables, **colours))


def _variables(palette: Mapping[str, str]) -> dict[str, str]:
    background, primary = palette["background"], palette["primary"]
    cursor = {"background": primary, "foreground": background}
    return {
        # "auto" is black or white, whichever is read better on what is below: on a cursor's line, too.
        "text": "auto 95%",
        "text-muted": "auto 70%",
        "foreground-muted": "#bcbcbc" if background == _DARK["background"] else "#4e4e4e",
        **{f"text-{role}": palette[role] for role in _ROLES},
        **{f"block-cursor-{ground}": colour for ground, colour in cursor.items()},
        "block-cursor-blurred-background": "#444444" if background != _LIGHT["background"] else "#bcbcbc",
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
