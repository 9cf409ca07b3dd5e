"""JSON of random schemas, written by the embedded model: does each result parse, and is it of its schema?

    python scripts/random_schemas.py [--count 500] [--first 0] [--seed 0]

Every other result is greedy, the others are drawn at temperature 1. Ends with 1 where a result does not parse, is not of its
schema, is cut, or where a schema is refused. The check is written here for the keywords that the schemas use, so that it
is another one's than llguidance's.
"""

from __future__ import annotations

import argparse
import collections
import json
import random
import re
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

import rgmlx

MAX_TOKENS = 4000
"""Of one result: more than any of these schemas has room for, but for numbers and recursion, which end by themselves."""
PROMPTS = ("Tell me about a fox.", "Write some JSON.", "My cat Zibo is red and 3 years old.", "Hi")
NAMES = ("name", "age", "is red", "größe", "x_1", "", 'a"b', "back\\slash", "über/unter", "🦊", "items", "type")
WORDS = ("yes", "no", "red", "", "two words", 'a "quote"', "tab\there", "naïve", "🦊", "\u0001", "null", "0")
PATTERNS = (r"^[a-z]{1,8}$", r"^\d{3}-\d{4}$", r"^(yes|no|maybe)$", r"^[A-Z][a-z]{2,6} [A-Z]\.$", r"^#[0-9a-f]{6}$")
KEY = r"^[a-zA-Z_]{1,10}$"
FORMATS = {
    "date": r"\d{4}-\d\d-\d\d",
    "uuid": r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
    "ipv4": r"\d{1,3}(\.\d{1,3}){3}",
}
Schema = dict[str, Any]


# --- schemas ------------------------------------------------------------------------------


def random_schema(rng: random.Random) -> Schema:
    """A schema that has an instance. What it leaves open to the model has a bound, but for some numbers."""
    if rng.random() < 0.15:
        return _recursive(rng)
    schema = _any(rng, rng.randint(1, 3))
    if rng.random() < 0.2:
        part = _any(rng, 1)
        return {
            "type": "object",
            "properties": {"one": schema, "two": {"$ref": "#/$defs/part"}, "three": {"$ref": "#/$defs/part"}},
            "required": ["one", "two"],
            "$defs": {"part": part},
        }
    return schema


def _recursive(rng: random.Random) -> Schema:
    """A list of linked nodes, or a tree, of which a node need not have another."""
    again: Schema = {"$ref": "#/$defs/node"}
    more = (
        {"type": "array", "items": again, "maxItems": 2} if rng.random() < 0.5 else {"anyOf": [{"type": "null"}, again]}
    )
    node = {
        "type": "object",
        "properties": {"value": _scalar(rng), "more": more},
        "required": ["value"] if rng.random() < 0.5 else ["value", "more"],
        "additionalProperties": False,
    }
    return {"$ref": "#/$defs/node", "$defs": {"node": node}}


def _any(rng: random.Random, depth: int) -> Schema:
    if depth == 0 or rng.random() < 0.12:
        return _scalar(rng)
    return rng.choice([_array, _tuple, _object, _object, _map, _one_of, _mixed])(rng, depth - 1)


def _scalar(rng: random.Random) -> Schema:
    return rng.choice([_string, _string, _integer, _number, _boolean, _null, _enum, _const])(rng)


def _string(rng: random.Random) -> Schema:
    kind = rng.random()
    if kind < 0.2:
        return {"type": "string", "pattern": rng.choice(PATTERNS)}
    if kind < 0.35:
        return {"type": "string", "format": rng.choice(list(FORMATS))}
    least = rng.choice([0, 0, 1, 5])
    return {"type": "string", "minLength": least, "maxLength": least + rng.choice([0, 1, 8, 20])}


def _integer(rng: random.Random) -> Schema:
    low = rng.choice([0, 1, -5, -1000, 17])
    bounds: Schema = rng.choice(
        [
            {},
            {"minimum": low},
            {"minimum": low, "maximum": low + rng.choice([0, 3, 12345])},
            {"exclusiveMinimum": low, "exclusiveMaximum": low + rng.choice([2, 100])},
            {"minimum": low, "maximum": low + 40, "multipleOf": rng.choice([2, 5, 7])},
        ]
    )
    return {"type": "integer", **bounds}


def _number(rng: random.Random) -> Schema:
    low = rng.choice([0, -2.5, 0.001, 99.5])
    bounds: Schema = rng.choice([{}, {"minimum": low, "maximum": low + rng.choice([0.5, 1, 1000])}, {"maximum": low}])
    return {"type": "number", **bounds}


def _boolean(rng: random.Random) -> Schema:
    return {"type": "boolean"}


def _null(rng: random.Random) -> Schema:
    return {"type": "null"}


def _enum(rng: random.Random) -> Schema:
    values: list[Any] = [
        *rng.sample(WORDS, rng.randint(1, 4)),
        *rng.sample([1, 2.5, None, True, [], {"a": 1}], rng.randint(0, 2)),
    ]
    return {"enum": values}


def _const(rng: random.Random) -> Schema:
    return {"const": rng.choice([*WORDS, 7, -1.5, None, False, ["a", {"b": []}]])}


def _array(rng: random.Random, depth: int) -> Schema:
    least = rng.choice([0, 0, 1, 2])
    return {"type": "array", "items": _any(rng, depth), "minItems": least, "maxItems": least + rng.randint(0, 3)}


def _tuple(rng: random.Random, depth: int) -> Schema:
    parts = [_any(rng, depth) for _ in range(rng.randint(1, 3))]
    return {"type": "array", "prefixItems": parts, "items": False, "minItems": len(parts)}


def _object(rng: random.Random, depth: int) -> Schema:
    names = rng.sample(NAMES, rng.randint(0, 4))
    schema: Schema = {"type": "object", "properties": {name: _any(rng, depth) for name in names}}
    if names and rng.random() < 0.8:
        schema["required"] = rng.sample(names, rng.randint(0, len(names)))
    if not names or rng.random() < 0.5:
        schema["additionalProperties"] = False
    return schema


def _map(rng: random.Random, depth: int) -> Schema:
    return {
        "type": "object",
        "patternProperties": {KEY: _any(rng, depth)},
        "additionalProperties": False,
        "maxProperties": rng.randint(0, 3),
    }


def _one_of(rng: random.Random, depth: int) -> Schema:
    return {"anyOf": [_any(rng, depth) for _ in range(rng.randint(1, 3))]}


def _mixed(rng: random.Random, depth: int) -> Schema:
    return {"type": rng.sample(["null", "boolean", "integer"], rng.randint(1, 3))}


# --- is it of its schema? -----------------------------------------------------------------


def violations(schema: Any, value: Any, root: Any = None) -> Iterator[str]:
    """What of a schema a value does not keep, in words."""
    root = schema if root is None else root
    if "$ref" in schema:
        yield from violations(root["$defs"][schema["$ref"].rpartition("/")[2]], value, root)
    if "const" in schema and not _same(value, schema["const"]):
        yield f"{value!r} is not {schema['const']!r}"
    if "enum" in schema and not any(_same(value, one) for one in schema["enum"]):
        yield f"{value!r} is none of {schema['enum']!r}"
    if "anyOf" in schema and all(any(violations(one, value, root)) for one in schema["anyOf"]):
        yield f"{value!r} fits no part of anyOf"
    names = schema.get("type", [])
    names = [names] if isinstance(names, str) else names
    if names and not any(_is(value, name) for name in names):
        yield f"{value!r} is no {' or '.join(names)}"
    elif isinstance(value, str):
        yield from _of_string(schema, value)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield from _of_number(schema, value)
    elif isinstance(value, list):
        yield from _of_array(schema, value, root)
    elif isinstance(value, dict):
        yield from _of_object(schema, value, root)


def _same(one: Any, other: Any) -> bool:
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True) or (
        _is(one, "number") and _is(other, "number") and one == other
    )


def _is(value: Any, name: str) -> bool:
    kinds: Mapping[str, tuple[type, ...]] = {
        "string": (str,),
        "integer": (int,),
        "number": (int, float),
        "boolean": (bool,),
        "null": (type(None),),
        "array": (list,),
        "object": (dict,),
    }
    return isinstance(value, kinds[name]) and (name == "boolean" or not isinstance(value, bool))


def _of_string(schema: Schema, value: str) -> Iterator[str]:
    if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
        yield f"{value!r} has {len(value)} characters"
    if "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{value!r} does not match {schema['pattern']}"
    if "format" in schema and not re.fullmatch(FORMATS[schema["format"]], value):
        yield f"{value!r} is no {schema['format']}"


def _of_number(schema: Schema, value: float) -> Iterator[str]:
    if value < schema.get("minimum", value) or value > schema.get("maximum", value):
        yield f"{value} is out of range"
    if value <= schema.get("exclusiveMinimum", value - 1) or value >= schema.get("exclusiveMaximum", value + 1):
        yield f"{value} is out of range"
    if "multipleOf" in schema and value % schema["multipleOf"]:
        yield f"{value} is no multiple of {schema['multipleOf']}"


def _of_array(schema: Schema, value: list[Any], root: Any) -> Iterator[str]:
    if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
        yield f"{len(value)} items"
    first = schema.get("prefixItems", [])
    for part, one in zip(first, value, strict=False):
        yield from violations(part, one, root)
    others = schema.get("items", True)
    for one in value[len(first) :]:
        if others is False:
            yield f"{one!r} is too much"
        elif others is not True:
            yield from violations(others, one, root)


def _of_object(schema: Schema, value: dict[str, Any], root: Any) -> Iterator[str]:
    properties, others = schema.get("properties", {}), schema.get("additionalProperties", True)
    named = schema.get("patternProperties", {})
    yield from (f"{name!r} is missing" for name in schema.get("required", ()) if name not in value)
    if len(value) > schema.get("maxProperties", len(value)):
        yield f"{len(value)} properties"
    for name, one in value.items():
        if name in properties:
            yield from violations(properties[name], one, root)
        elif fitting := [part for pattern, part in named.items() if re.search(pattern, name)]:
            yield from violations(fitting[0], one, root)
        elif others is False:
            yield f"{name!r} is not allowed"
        elif others is not True:
            yield from violations(others, one, root)


# --- the run ------------------------------------------------------------------------------


def outcome(model: rgmlx.Model, number: int, seed: int = 0) -> tuple[str, str]:
    """Has one random schema written. Returns "good", or what went wrong; and what there is to be seen of it."""
    rng = random.Random(f"{seed} {number}")
    schema = random_schema(rng)
    shown = json.dumps(schema)
    options: dict[str, Any] = {"temperature": 0.0 if number % 2 else 1.0, "seed": number, "max_tokens": MAX_TOKENS}
    prompt = rng.choice(PROMPTS)
    try:
        value = model.generate(prompt, schema=schema, **options)
    except rgmlx.RgmlxError as e:
        return type(e).__name__, f"{shown}\n    {e} {getattr(e, 'text', '')[:200]}"
    except ValueError as e:
        return "does not parse", f"{shown}\n    {e}"
    wrong = list(violations(schema, value))
    return ("not of its schema", f"{shown}\n    {value!r}\n    {wrong}") if wrong else ("good", repr(value))


def main() -> int:
    """Runs it; 1 unless all are good."""
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    p.add_argument("--count", type=int, default=500)
    p.add_argument("--first", type=int, default=0, help="number of the first, to share them among processes")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--show", action="store_true", help="every result, not only those that are wrong")
    options = p.parse_args()
    model, begun = rgmlx.load(), time.monotonic()
    found: collections.Counter[str] = collections.Counter()
    for number in range(options.first, options.first + options.count):
        what, shown = outcome(model, number, options.seed)
        found[what] += 1
        if options.show or what != "good":
            print(f"{number}: {what}: {shown}", flush=True)
    for what, count in found.most_common():
        print(f"{what:24} {count:6}")
    print(f"{'seconds':24} {time.monotonic() - begun:6.0f}")
    return int(found["good"] != options.count)


if __name__ == "__main__":
    sys.exit(main())
