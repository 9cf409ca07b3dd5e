"""What a result may look like, as a grammar in llguidance's Lark: one of some texts, a regular expression, JSON of a schema.

Knows texts; neither models nor tokens. JSON is written as `json.dumps` writes it, with `", "` and `": "` between its parts
and no other white space, which a small model may go on with for ever.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from ...errors import ConstraintError
from . import lark
from . import schema as schemas

JSON_STYLE = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
"""llguidance's options of a schema. What a schema has under `x-guidance` comes before them."""

# Without it a text that is certain has one way of tokens only, for which llguidance calls the tokenizer: Python below
# native code, where Ctrl+C would be a panic. With it a mask is all that fits, and the model finds its own way.
_NO_FORCING = '\n%llguidance {"no_forcing": true}\n'


def of_choices(choices: Collection[str]) -> str:
    """One of the texts. Raises ConstraintError: there is none, or they are no texts."""
    if isinstance(choices, (str, bytes, Mapping)) or not isinstance(choices, Collection):
        raise ConstraintError('choices must be a list of texts, as in choices=["yes", "no"]')
    if not choices:
        raise ConstraintError("choices is empty: give at least one text to choose")
    for choice in choices:
        if not isinstance(choice, str):
            shown = f"{choice!r:.40}"
            raise ConstraintError(f"choices must be texts, and {shown} is none", quotes=(shown,))
        _refuse_surrogates(choice, "a choice")
    return _pattern(f"(?:{'|'.join(''.join(map(_literal, choice)) for choice in dict.fromkeys(choices))})")


def of_regex(regex: str) -> str:
    """A text that matches from its first to its last character, in the syntax of Rust's regex. Raises ConstraintError."""
    from llguidance import regex_to_lark

    if not isinstance(regex, str):
        raise ConstraintError('regex must be a text, as in regex="[0-9]+"')
    _refuse_surrogates(regex, "the regex")
    return _pattern(regex_to_lark(regex, "") or "(?:)")  # `//` is a comment


def of_schema(schema: Any) -> str:
    """JSON of the schema. Raises ConstraintError: it is no schema, or has no instance that ends."""
    checked = schemas.checked(schema)
    if isinstance(checked, dict):
        style = checked.get("x-guidance", {})
        checked = {**checked, "x-guidance": {**JSON_STYLE, **style} if isinstance(style, dict) else style}
    return f"start: %json {json.dumps(checked)}{_NO_FORCING}"


def of_lark(grammar: str) -> str:
    """A text of the grammar. Raises ConstraintError."""
    if not isinstance(grammar, str):
        raise ConstraintError('grammar must be a text, a Lark grammar, as in grammar=\'start: "a" | "b"\'')
    _refuse_surrogates(grammar, "the grammar")
    if not lark.ends(grammar):
        raise ConstraintError("the grammar has no end: its start asks for itself again, whatever comes before")
    return grammar + _NO_FORCING


def _pattern(regex: str) -> str:
    return f"start: /{regex}/{_NO_FORCING}"


def _literal(character: str) -> str:
    return character if character.isascii() and character.isalnum() else f"\\x{{{ord(character):x}}}"


def _refuse_surrogates(text: str, what: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ConstraintError(f"{what} has half a character (a lone surrogate), which no text can have") from None
