"""Ways to ask for something, from a table, and small repairs of English."""

from __future__ import annotations

import re

from .lexicon import table
from .wording import Wordings, an, capital


def asking(name: str) -> dict[str, Wordings]:
    """The wordings in a table whose fields are what is asked for and a template."""
    templates: dict[str, list[str]] = {}
    for kind, template in table(name):
        templates.setdefault(kind, []).append(template)
    return {kind: Wordings(rows) for kind, rows in templates.items()}


def articles(text: str) -> str:
    """With "an" where a vowel is spoken, and "a" where none is."""
    return re.sub(r"\b([Aa])n? (?=([a-z][\w-]+))", lambda m: f"{m[1]}{'n' if an(m[2]) else ''} ", text)


def bare(text: str) -> str:
    """Without its last mark."""
    return text.rstrip(".!? ")


def small(text: str) -> str:
    """Begins in lower case, but for the word I."""
    return text if text.startswith(("I ", "I'")) else text[:1].lower() + text[1:]


def kept(*parts: str) -> list[str]:
    """What `roughen` must keep, at the beginning of a sentence too."""
    return [*parts, *(capital(part) for part in parts if part[:1].islower())]
