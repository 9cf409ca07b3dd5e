"""JSON schemas, before llguidance has them: what it would take and could not keep. Knows JSON Schema; no grammars, no tokens.

llguidance refuses what contradicts itself and what it has no grammar for. Left to us are schemas whose instances have no
end, numbers that it would round, and what a schema leaves open though nobody means it: digits and properties without end.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from ...errors import ConstraintError

_IN_MAPS = ("properties", "patternProperties", "$defs", "definitions")
_IN_LISTS = ("prefixItems", "anyOf", "oneOf", "allOf")
_IN_PLACE = ("items", "additionalProperties")
_COMBINING = ("$ref", "anyOf", "oneOf", "allOf")
_SAYING_NOTHING = {"title", "description", "default", "examples", "deprecated", "$comment", "$schema", "$id"}
_OF_OTHER_PROPERTIES = {
    "additionalProperties",
    "patternProperties",
    "unevaluatedProperties",
    "propertyNames",
    "minProperties",
}
_OF_VALUES = ("const", "enum", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
_MOST_EXACT = 2**53  # llguidance has a schema's numbers as float64
_DECIMAL = 1e-6
_WIDE = 1e-3  # a range with many numbers of so many decimals


def checked(schema: Any) -> Any:
    """The schema as JSON has it, or a narrower one, of which each instance is one of the schema (`_narrowed`).

    Raises:
        ConstraintError: it is no JSON, has no instance that ends, or numbers beyond 2**53.
    """
    try:
        schema = json.loads(json.dumps(schema, allow_nan=False))
        if isinstance(schema, bool):
            return schema
        if not isinstance(schema, dict):
            raise ConstraintError("a schema is a dictionary, a dataclass or a pydantic model")
        for one in _walk(schema):
            _refuse_inexact([one[key] for key in _OF_VALUES if key in one])
        if not _ends(schema):
            raise ConstraintError("the schema has no end: what it requires requires itself again")
        return _narrowed(schema) if _may_be_narrowed(schema) else schema
    except (TypeError, ValueError) as e:
        if isinstance(e, ConstraintError):
            raise
        raise ConstraintError(f"the schema is no JSON itself: {e}", quotes=(str(e),)) from None
    except RecursionError:
        raise ConstraintError("the schema is nested too deeply: give what repeats a name in $defs") from None


def _parts(schema: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The schemas within one, by the keyword that has them."""
    for key in _IN_MAPS:
        if isinstance(found := schema.get(key), dict):
            yield from ((key, part) for part in found.values())
    for key in _IN_LISTS:
        if isinstance(found := schema.get(key), list):
            yield from ((key, part) for part in found)
    yield from ((key, schema[key]) for key in _IN_PLACE if key in schema)


def _walk(schema: Any) -> Iterator[dict[str, Any]]:
    """A schema and all within, but for `true` and `false`."""
    if isinstance(schema, dict):
        yield schema
        for _, part in _parts(schema):
            yield from _walk(part)


def _refuse_inexact(value: Any) -> None:
    if isinstance(value, (list, dict)):
        for part in value.values() if isinstance(value, dict) else value:
            _refuse_inexact(part)
    elif isinstance(value, int) and abs(value) > _MOST_EXACT:
        raise ConstraintError(
            f"the schema has a number of {len(str(value))} digits, and those beyond 2**53 would be rounded: make it a text"
        )


# --- an end -------------------------------------------------------------------------------


def _ends(root: dict[str, Any]) -> bool:
    """Whether an instance has an end: a schema may require itself, but not always."""
    targets = {ref: _target(root, ref) for one in _walk(root) if isinstance(ref := one.get("$ref"), str)}
    ending = {ref for ref, target in targets.items() if target is None}  # of elsewhere, which llguidance refuses

    def ends(schema: Any) -> bool:
        if not isinstance(schema, dict):
            return True
        if isinstance(ref := schema.get("$ref"), str) and ref not in ending:
            return False
        if not all(map(ends, _listed(schema, "allOf"))):
            return False
        for key in ("anyOf", "oneOf"):
            if (some := _listed(schema, key)) and not any(map(ends, some)):
                return False
        if schema.get("type") == "object":
            properties, others = schema.get("properties"), schema.get("additionalProperties", True)
            known = properties if isinstance(properties, dict) else {}
            return all(ends(known.get(name, others)) for name in _listed(schema, "required") if isinstance(name, str))
        if schema.get("type") == "array" and isinstance(least := schema.get("minItems", 0), int) and least > 0:
            first = _listed(schema, "prefixItems")[:least]
            return all(map(ends, first)) and (len(first) == least or ends(schema.get("items", True)))
        return True

    while more := {ref for ref, target in targets.items() if ref not in ending and ends(target)}:
        ending |= more
    return ends(root)


def _listed(schema: Mapping[str, Any], key: str) -> list[Any]:
    found = schema.get(key)
    return found if isinstance(found, list) else []


def _target(root: Any, ref: str) -> Any:
    """What a `$ref` within the document points to; None for another one."""
    if not ref.startswith("#"):
        return None
    place = root
    for step in filter(None, unquote(ref[1:]).split("/")):
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(place, dict) and name in place:
            place = place[name]
        elif isinstance(place, list) and name.isdecimal() and int(name) < len(place):
            place = place[int(name)]
        else:
            return None
    return place


# --- narrower ------------------------------------------------------------------------------


def _may_be_narrowed(schema: dict[str, Any]) -> bool:
    """Whether no schema adds to another, by `allOf` or beside `$ref` and the like: both might be narrowed apart."""
    for one in _walk(schema):
        keys = one.keys() - _SAYING_NOTHING - {"$defs", "definitions", "x-guidance"}
        if "allOf" in keys or (keys & set(_COMBINING) and len(keys) > 1):
            return False
    return True


def _narrowed(schema: Any) -> Any:
    """The schema without properties that it does not name, and with numbers of so many digits, where it says nothing of those.

    A model may go on with names of its own, or with a digit, for as long as it likes.
    """
    if not isinstance(schema, dict):
        return schema
    out = dict(schema)
    for key in _IN_MAPS:
        if isinstance(found := schema.get(key), dict):
            out[key] = {name: _narrowed(part) for name, part in found.items()}
    for key in _IN_LISTS:
        if isinstance(found := schema.get(key), list):
            out[key] = [_narrowed(part) for part in found]
    for key in _IN_PLACE:
        if key in schema:
            out[key] = _narrowed(schema[key])
    named, needed = schema.get("properties"), [str(name) for name in _listed(schema, "required")]
    if isinstance(named, dict) and not schema.keys() & _OF_OTHER_PROPERTIES and all(name in named for name in needed):
        out["additionalProperties"] = False
    kinds = schema.get("type")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    if ("integer" in kinds or "number" in kinds) and not {"const", "enum"} & schema.keys():
        out = {**out, **_of_digits(schema)}
    return out


def _of_digits(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Bounds for a number that has none, and a last decimal, where some are left within its bounds."""
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    if not all(isinstance(one, (int, float, type(None))) for one in (low, high)):
        return {}
    out: dict[str, Any] = {}
    if low is None and (high is None or high > -_MOST_EXACT):
        low = out["minimum"] = -_MOST_EXACT
    if high is None and low is not None and low < _MOST_EXACT:
        high = out["maximum"] = _MOST_EXACT
    wide = low is not None and high is not None and high - low >= _WIDE
    if wide and "multipleOf" not in schema and schema["type"] != "integer":
        out["multipleOf"] = _DECIMAL
    return out
