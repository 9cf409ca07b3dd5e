"""Dataclasses and other types as JSON schemas, and their objects back from JSON. Knows the standard library's types."""

from __future__ import annotations

import dataclasses
import enum
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, Union

from ...errors import ConstraintError

Build = Callable[[Any], Any]
"""Makes a value of JSON's. Raises Mismatch: it is of another type."""

_SCALARS: dict[Any, tuple[str, tuple[type, ...]]] = {
    str: ("string", (str,)),
    int: ("integer", (int,)),
    bool: ("boolean", (bool,)),
    type(None): ("null", (type(None),)),
}
_LISTS: dict[Any, Callable[[Iterable[Any]], Any]] = {
    list: list,
    Sequence: list,
    Iterable: list,
    set: set,
    frozenset: frozenset,
}


class Mismatch(Exception):
    """A value of JSON's is not of the type."""


def is_type(kind: Any) -> bool:
    """Whether this is a type, and not a schema."""
    return isinstance(kind, type) or typing.get_origin(kind) is not None


def as_schema(kind: Any) -> tuple[dict[str, Any], Build]:
    """The JSON schema of a type, and what makes its objects of JSON.

    Args:
        kind: a dataclass, or any of str, int, float, bool, None, Any, list, set, tuple, dict (of texts to values),
            Optional, Union, Literal, Enum, and `Annotated[..., {...}]` with more of a schema. They may be within one
            another, a dataclass also in itself.

    Raises:
        ConstraintError: another type.
    """
    types_ = _Types()
    schema, build = types_.of(kind, getattr(kind, "__name__", str(kind)))
    return ({**schema, "$defs": types_.definitions} if types_.definitions else schema), build


class _Types:
    """The types of one schema.

    Attributes:
        definitions: of dataclasses, by name.
    """

    def __init__(self) -> None:
        self.definitions: dict[str, dict[str, Any]] = {}
        self._names: dict[type, str] = {}
        self._builds: dict[type, Build] = {}

    def of(self, kind: Any, place: str) -> tuple[dict[str, Any], Build]:
        """`place`: what has this type, for a sentence."""
        origin, arguments = typing.get_origin(kind), typing.get_args(kind)
        if kind is None:
            kind = type(None)
        if kind in (Any, object):
            return {}, lambda value: value
        if kind is float:
            return {"type": "number"}, _number
        if isinstance(kind, type) and kind in _SCALARS:
            name, python = _SCALARS[kind]
            return {"type": name}, lambda value: _exactly(value, python)
        if origin is typing.Annotated:
            schema, build = self.of(arguments[0], place)
            for more in arguments[1:]:
                schema = _with(schema, more) if isinstance(more, Mapping) else schema
            return schema, build
        if origin is Literal:
            return self._one_of([(value, value) for value in arguments], place)
        if origin in (Union, types.UnionType):
            parts = [self.of(part, place) for part in arguments]
            return {"anyOf": [schema for schema, _ in parts]}, lambda value: _first(value, [b for _, b in parts])
        if (origin or kind) in _LISTS:
            make = _LISTS[origin or kind]
            schema, build = self.of(arguments[0] if arguments else Any, f"an item of {place}")
            return {"type": "array", "items": schema}, lambda value: make(map(build, _exactly(value, (list,))))
        if (origin or kind) is tuple:
            return self._tuple(arguments or (Any, ...), place)
        if (origin or kind) in (dict, Mapping):
            key, item = arguments or (str, Any)
            if key is not str:
                raise ConstraintError(f"schema: {place} is a dict of {key}, and JSON has texts as keys only: use str")
            schema, build = self.of(item, f"a value of {place}")
            return (
                {"type": "object", "additionalProperties": schema},
                lambda value: {name: build(part) for name, part in _exactly(value, (dict,)).items()},
            )
        if isinstance(kind, type) and issubclass(kind, enum.Enum):
            members = list(kind)
            plain = all(isinstance(one.value, (str, int, float, type(None))) for one in members)
            return self._one_of([(one.value if plain else one.name, one) for one in members], place)
        if isinstance(kind, type) and dataclasses.is_dataclass(kind):
            return self._dataclass(kind)
        raise ConstraintError(
            f"schema: {place} is {kind!r}, for which there is no JSON: use str, int, float, bool, None, list, tuple, dict, "
            "Optional, Literal, an Enum or a dataclass"
        )

    def _dataclass(self, kind: type) -> tuple[dict[str, Any], Build]:
        if kind not in self._names:
            name = kind.__qualname__.replace("<locals>.", "")
            if name in self.definitions:
                name = f"{kind.__module__}.{name}"
            name = name.replace("/", ".")
            self._names[kind], self.definitions[name] = name, {}
            try:
                hints = typing.get_type_hints(kind, localns={kind.__name__: kind}, include_extras=True)
            except NameError as e:
                raise ConstraintError(f"schema: a type of {kind.__qualname__} is not known: {e}") from None
            fields = [f for f in dataclasses.fields(kind) if f.init]
            parts = {f.name: self.of(hints[f.name], f"{kind.__qualname__}.{f.name}") for f in fields}
            needed = [
                f.name for f in fields if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
            ]
            self.definitions[name] = {
                "type": "object",
                "properties": {name: schema for name, (schema, _) in parts.items()},
                "required": needed,
                "additionalProperties": False,
            }

            def build(value: Any) -> Any:
                given = _exactly(value, (dict,))
                if not set(needed) <= given.keys() <= parts.keys():
                    raise Mismatch
                return kind(**{name: parts[name][1](part) for name, part in given.items()})

            self._builds[kind] = build
        return {"$ref": f"#/$defs/{self._names[kind]}"}, lambda value: self._builds[kind](value)

    def _one_of(self, values: Sequence[tuple[Any, Any]], place: str) -> tuple[dict[str, Any], Build]:
        for value, _ in values:
            if not isinstance(value, (str, int, float, bool, type(None))):
                shown = f"{value!r:.40}"
                raise ConstraintError(f"schema: {place} may be {shown}, for which there is no JSON", quotes=(shown,))
        found = {(type(value), value): result for value, result in values}

        def build(value: Any) -> Any:
            if (type(value), value) in found:
                return found[type(value), value]
            for known, result in values:  # 1 for 1.0
                if not isinstance(value, (bool, str)) and not isinstance(known, bool) and known == value:
                    return result
            raise Mismatch

        return {"enum": [value for value, _ in values]}, build

    def _tuple(self, arguments: tuple[Any, ...], place: str) -> tuple[dict[str, Any], Build]:
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            schema, build = self.of(arguments[0], f"an item of {place}")
            return {"type": "array", "items": schema}, lambda value: tuple(map(build, _exactly(value, (list,))))
        parts = [self.of(part, f"an item of {place}") for part in arguments if arguments != ((),)]

        def build_all(value: Any) -> Any:
            if len(_exactly(value, (list,))) != len(parts):
                raise Mismatch
            return tuple(build(one) for (_, build), one in zip(parts, value, strict=True))

        count = len(parts)
        schemas = [schema for schema, _ in parts]
        return (
            {"type": "array", "prefixItems": schemas, "items": False, "minItems": count, "maxItems": count},
            build_all,
        )


def _with(schema: dict[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """A schema with more keywords: of a union each part has them, as they say nothing of a part of another type."""
    if schema.keys() == {"anyOf"}:
        return {"anyOf": [part if "$ref" in part else _with(part, more) for part in schema["anyOf"]]}
    return {**schema, **more}


def _exactly(value: Any, python: tuple[type, ...]) -> Any:
    if not isinstance(value, python) or (isinstance(value, bool) and bool not in python):
        raise Mismatch
    return value


def _number(value: Any) -> float:
    try:
        return float(_exactly(value, (int, float)))
    except OverflowError:  # a whole number of more than 308 digits
        return float("inf") if value > 0 else float("-inf")


def _first(value: Any, builds: Sequence[Build]) -> Any:
    for build in builds:
        try:
            return build(value)
        except Mismatch:
            continue
    raise Mismatch
