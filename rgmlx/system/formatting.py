"""How times, sizes, errors and long texts are said. Knows no widgets, and nothing of what the words are about."""

from __future__ import annotations

import re
from datetime import datetime

from . import times
from .printable import printable

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def when(seconds: float, now: float) -> str:
    """A time as one would say it: today with the hour, yesterday, a day of this year, a date."""
    then, today = _local(seconds), datetime.fromtimestamp(now)
    if then is None:
        return "at some time"
    days = (today.date() - then.date()).days
    if days in (0, 1):
        return "yesterday" if days else f"today {then:%H:%M}"
    return _day(then) if then.year == today.year else f"{then:%Y-%m-%d}"


def when_briefly(seconds: float, now: float) -> str:
    """A time in six columns at the most: the hour, a day of this year, a year."""
    then, today = _local(seconds), datetime.fromtimestamp(now)
    if then is None:
        return "?"
    if then.date() == today.date():
        return f"{then:%H:%M}"
    return _day(then) if then.year == today.year else str(then.year)


def _local(seconds: float) -> datetime | None:
    return datetime.fromtimestamp(seconds) if times.known(seconds) else None


def _day(then: datetime) -> str:
    return f"{then.day} {_MONTHS[then.month - 1]}"  # strftime would say the month in the language of the system


def duration(seconds: float) -> str:
    """About how long something takes."""
    for unit, count in (("h", 3600), ("min", 60)):
        if seconds >= 1.5 * count:
            return f"{seconds / count:,.0f} {unit}"
    return f"{seconds:.0f} s"


def size(count: int) -> str:
    """A number of bytes, in MB or GB."""
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def one_line(text: str, most: int) -> str:
    """The beginning of a text in one line, safe to show: spaces and line breaks that follow one another are one space.

    Those at its ends stay, so that pieces can be put together again.

    Args:
        most: characters of the text that are looked at: it may be megabytes long.
    """
    return printable(re.sub(r"\s+", " ", text[:most]))


def model_name(name: str) -> str:
    """What a model is called on the screen: the embedded one by its own name, others by the last part of theirs."""
    return "Griff" if name == "demo" else name.rstrip("/").rpartition("/")[2] or name


def sentence(text: str) -> str:
    """An error's text, or another one, so that it begins and ends as a sentence does. A path or a name stays as it is."""
    if re.match(r"[a-z]+[ ,:]", text):
        text = text[0].upper() + text[1:]
    return text if text.endswith((".", "?", "!", "%", "\n")) else f"{text}."


def cut(text: str, width: int) -> str:
    """The text, or as much of it as fits into so many characters, with a sign that it goes on."""
    return text if len(text) <= width else text[: width - 1].rstrip() + "…"


def joined(*texts: str) -> str:
    """Texts of one prompt, each on lines of its own; those without a word are left out."""
    return "\n".join(text for text in texts if text.strip())
