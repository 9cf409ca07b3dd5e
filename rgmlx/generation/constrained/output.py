"""The form that a caller wants a result in: its constraint for the token loop, and the result of the text.

Knows a model's vocabulary and what `choices=`, `regex=`, `schema=` and `grammar=` may be; nothing of how text is written.
"""

from __future__ import annotations

import decimal
import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...errors import ConstraintError
from . import grammar as grammars
from . import python_types

if TYPE_CHECKING:
    from .matcher import Constraint
    from .vocabulary import Vocabulary

FORMS = ("choices", "regex", "schema", "grammar")
"""What a form may be given as."""


@dataclass(frozen=True)
class OutputFormat:
    """A form of results.

    Attributes:
        constraint: which tokens make a text of this form.
        result: what a whole text comes to: the text itself, or with a schema the object. Raises ConstraintError: a class
            of the caller's refuses its values.
    """

    constraint: Constraint
    result: Callable[[str], Any]


def output_format(
    vocabulary: Callable[[], Vocabulary],
    *,
    choices: Collection[str] | None = None,
    regex: str | None = None,
    schema: Any = None,
    grammar: str | None = None,
) -> OutputFormat | None:
    """The form that was asked for; None for none.

    Args:
        vocabulary: the model's, asked for where there is a form.

    Raises:
        ConstraintError: it is malformed, contradicts itself, or two are given.
    """
    given = {
        name: value
        for name, value in (("choices", choices), ("regex", regex), ("schema", schema), ("grammar", grammar))
        if value is not None
    }
    if not given:
        return None
    if len(given) > 1:
        raise ConstraintError(f"give one of {' and '.join(given)}, not both: a result has one form")
    result: Callable[[str], Any] = str
    if choices is not None:
        text, what = grammars.of_choices(choices), "the list of choices"
    elif regex is not None:
        text, what = grammars.of_regex(regex), "the regex"
    elif grammar is not None:
        text, what = grammars.of_lark(grammar), "the grammar"
    else:
        json_schema, result = _of_schema(schema)
        text, what = grammars.of_schema(json_schema), "the schema"
    return OutputFormat(vocabulary().compile(text, what), result)


def _of_schema(schema: Any) -> tuple[Any, Callable[[str], Any]]:
    """The JSON schema, and what makes the result of JSON."""
    make = getattr(schema, "model_validate", None)
    if isinstance(schema, type) and callable(make):  # pydantic's, which need not be installed
        return schema.model_json_schema(), lambda text: _made(make, _parsed(text), schema)  # type: ignore[attr-defined]
    if python_types.is_type(schema):
        json_schema, build = python_types.as_schema(schema)
        return json_schema, lambda text: _made(build, _parsed(text), schema)
    return schema, _parsed


def _made(make: Callable[[Any], Any], value: Any, kind: Any) -> Any:
    try:
        return make(value)
    except (ValueError, TypeError, python_types.Mismatch) as e:
        name = getattr(kind, "__name__", str(kind))
        why = " ".join(str(e).split())
        raise ConstraintError(
            f"the result is JSON of the schema, and {name} refuses it: put what it checks into the schema ({why})",
            quotes=(why,),
        ) from None


def _parsed(text: str) -> Any:
    return json.loads(text, parse_int=_whole_number)


def _whole_number(digits: str) -> int:
    """Of any number of digits; `int` takes 4,300 at most."""
    return int(digits) if len(digits) < 4000 else int(decimal.Decimal(digits))
