"""Texts that go to a model beside what is said to it: each a fenced block under its name, which nothing in it can end."""

from __future__ import annotations

import os
import re

from ..system.printable import printable


def fenced(name: str, content: str) -> str:
    """A text under its name, in a fence of backticks that is longer than any in it; its suffix names the language."""
    longest = max((len(run) for run in re.findall("`+", content)), default=0)
    fence = "`" * max(3, longest + 1)
    suffix = os.path.splitext(name)[1][1:].lower()
    language = suffix if suffix.isascii() and suffix.isalnum() else ""
    end = "" if content.endswith("\n") or not content else "\n"
    return f"{shown(name)}:\n{fence}{language}\n{content}{end}{fence}"


def shown(name: str) -> str:
    """A file's name on one line, safe to show."""
    return printable(name).replace("\n", "\ufffd")
