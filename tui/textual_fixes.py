"""What Textual does not do well yet, put right. A function that names an issue goes when that is closed."""

from __future__ import annotations

from functools import lru_cache

from textual._styles_cache import StylesCache
from textual.color import Color
from textual.geometry import Region
from textual.style import Style


def forget_removed_widgets() -> None:
    """Textualize/textual#6665: a cache of colours holds on to the drawn lines of the last 1,024 widgets, removed or not.

    That is some 10 MB of a long chat, and doubles what the garbage collector looks through while a key waits.
    """
    original = StylesCache.get_inner_outer
    if not hasattr(original, "cache_clear"):  # put right already
        return

    @lru_cache(1024)
    def inner_outer(base_background: Color, background: Color) -> tuple[Style, Style]:
        found: tuple[Style, Style] = original.__wrapped__(StylesCache, base_background, background)
        return found

    def without_widget(_: StylesCache, base_background: Color, background: Color) -> tuple[Style, Style]:
        return inner_outer(base_background, background)

    StylesCache.get_inner_outer = without_widget  # type: ignore[assignment,method-assign]


def forget_geometry() -> None:
    """Empties the caches of what rectangles have in common: filled, they take 7 MB, and what is in them comes and goes.

    So there would always be something that lives on in memory which could be given back otherwise.
    """
    for operation in vars(Region).values():
        if hasattr(operation, "cache_clear"):
            operation.cache_clear()
