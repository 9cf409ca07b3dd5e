"""Schemas of a caller's: JSON schemas and what is narrowed of them, dataclasses and other types, pydantic models."""

from __future__ import annotations

import dataclasses
import enum
import json
import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Optional, Union

import pytest
from interrupt_anywhere import small_model

import rgmlx
from rgmlx.errors import ConstraintError
from rgmlx.generation.constrained import python_types
from rgmlx.generation.constrained.output import output_format
from rgmlx.generation.constrained.schema import checked


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Shape(enum.Enum):
    ROUND = (0, 0)
    FLAT = object()


@dataclasses.dataclass
class Point:
    x: int
    y: float = 0.5


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tree:
    name: Annotated[str, {"maxLength": 4}]
    children: list[Tree] = dataclasses.field(default_factory=list)
    parent: Optional[Tree] = None  # noqa: UP045 - both spellings


@dataclasses.dataclass
class Everything:
    point: Point
    colour: Colour
    level: Level
    kind: Literal["a", "b", 3, None]
    pair: tuple[int, bool]
    many: tuple[Annotated[str, {"maxLength": 2}], ...] = ()
    table: dict[str, Union[int, Point]] = dataclasses.field(default_factory=dict)  # noqa: UP007
    maybe: float | None = None
    hidden: int = dataclasses.field(default=7, init=False)


@dataclasses.dataclass
class Even:
    number: Annotated[int, {"minimum": 0, "maximum": 99}]

    def __post_init__(self) -> None:
        if self.number % 2:
            raise ValueError("odd")


@pytest.fixture(scope="module")
def small() -> rgmlx.Model:
    return small_model()


BUILT: list[tuple[Any, Any, Any]] = [
    (str, "a", "a"),
    (int, 3, 3),
    (float, 3, 3.0),
    (float, 2.5, 2.5),
    (bool, True, True),
    (type(None), None, None),
    (Any, {"a": [1]}, {"a": [1]}),
    (list, [1, "a"], [1, "a"]),
    (list[int], [1, 2], [1, 2]),
    (Sequence[bool], [True], [True]),
    (set[str], ["a", "a"], {"a"}),
    (frozenset[int], [1], frozenset({1})),
    (tuple[int, str], [1, "a"], (1, "a")),
    (tuple[int, ...], [1, 2, 3], (1, 2, 3)),
    (dict, {"a": None}, {"a": None}),
    (dict[str, Point], {"p": {"x": 1}}, {"p": Point(1)}),
    (Mapping[str, float], {"a": 1}, {"a": 1.0}),
    (Optional[int], None, None),  # noqa: UP045
    (int | str, "a", "a"),
    (float | int, 3, 3.0),
    (int | float, 2.5, 2.5),
    (list[int] | dict[str, int], {"a": 1}, {"a": 1}),
    (Literal["a", 1, True], True, True),
    (Literal[1.5], 1.5, 1.5),
    (Colour, "red", Colour.RED),
    (Level, 2, Level.HIGH),
    (Shape, "FLAT", Shape.FLAT),
    (Annotated[int, {"minimum": 2}, "said of it"], 3, 3),
    (Annotated[int | None, {"minimum": 2}], None, None),
    (Annotated[Point | int, {"minimum": 2}], {"x": 1}, Point(1)),
    (Point, {"x": 1, "y": 2}, Point(1, 2.0)),
    (Point, {"x": 1}, Point(1, 0.5)),
    (
        Tree,
        {"name": "a", "children": [{"name": "b"}], "parent": {"name": "c", "parent": None}},
        Tree(name="a", children=[Tree(name="b")], parent=Tree(name="c")),
    ),
    (
        Everything,
        {
            "point": {"x": 1},
            "colour": "blue",
            "level": 1,
            "kind": 3,
            "pair": [1, True],
            "table": {"a": {"x": 2}, "b": 3},
        },
        Everything(Point(1), Colour.BLUE, Level.LOW, 3, (1, True), table={"a": Point(2), "b": 3}),
    ),
]


@pytest.mark.parametrize(("kind", "value", "result"), BUILT, ids=lambda v: str(v)[:50])
def test_a_type_has_a_schema_and_makes_its_objects(small: rgmlx.Model, kind: Any, value: Any, result: Any) -> None:
    """The JSON is of the schema, says llguidance, and becomes the object, of the very types."""
    schema, build = python_types.as_schema(kind)
    made = build(value)
    assert made == result
    assert type(made) is type(result)
    form = output_format(small.vocabulary, schema=kind)
    assert form is not None
    found = form.constraint.matcher()
    for token in small.text_tokenizer().encode(json.dumps(value)):
        found.accept(token)
    assert found.done
    assert form.result(json.dumps(value)) == result
    json.dumps(schema)


def test_keywords_of_a_union_are_those_of_each_part(small: rgmlx.Model) -> None:
    kind = Annotated[int | None, {"minimum": 2, "maximum": 3}]
    assert {small.generate("Hi", schema=kind, seed=seed, temperature=3) for seed in range(20)} == {None, 2, 3}


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (int, True),
        (int, "1"),
        (bool, 1),
        (str, None),
        (float, "1"),
        (list[int], {"a": 1}),
        (tuple[int, str], [1]),
        (Literal[1], True),
        (Colour, "green"),
        (Point, {"y": 1}),
        (Point, {"x": 1, "z": 1}),
        (int | None, "a"),
    ],
)
def test_a_value_of_another_type_makes_no_object(kind: Any, value: Any) -> None:
    with pytest.raises(python_types.Mismatch):
        python_types.as_schema(kind)[1](value)


@dataclasses.dataclass
class Wrong:
    inner: list[dict[str, complex]]


@dataclasses.dataclass
class Unknown:
    other: Nowhere  # type: ignore[name-defined] # noqa: F821


@dataclasses.dataclass
class Endless:
    more: Endless


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        (Wrong, "a value of an item of Wrong.inner is <class 'complex'>, for which there is no JSON"),
        (Unknown, "a type of Unknown is not known: name 'Nowhere'"),
        (Endless, "the schema has no end"),
        (Literal[b"a"], "may be b'a'"),
        (dict[int, str], "JSON has texts as keys only: use str"),
    ],
)
def test_a_type_without_json_is_refused_by_its_name(small: rgmlx.Model, kind: Any, sentence: str) -> None:
    with pytest.raises(ConstraintError) as error:
        small.generate("Hi", schema=kind)
    assert sentence in str(error.value)


@pytest.mark.parametrize("seed", range(4))
def test_objects_are_written(small: rgmlx.Model, seed: int) -> None:
    for kind in (list[Literal["a", "b"]] | None, Point, Annotated[Tree, {}], Colour, Level):
        try:
            made = small.generate("Hi", schema=kind, seed=seed, temperature=1, max_tokens=400)
        except rgmlx.RgmlxError as e:  # a tree need not end
            assert kind is not Point
            assert "cut" in str(e)
            continue
        assert made is None or isinstance(made, (list, Point, Tree, Colour, Level))


def test_a_class_that_refuses_its_values_is_a_sentence(small: rgmlx.Model) -> None:
    form = output_format(small.vocabulary, schema=Even)
    assert form is not None
    assert form.result('{"number": 4}') == Even(4)
    with pytest.raises(ConstraintError, match=r"Even refuses it: put what it checks into the schema \(odd\)"):
        form.result('{"number": 5}')


def test_pydantic_models_are_taken_where_there_are_any(small: rgmlx.Model) -> None:
    pydantic = pytest.importorskip("pydantic")

    class Pet(pydantic.BaseModel):
        name: str = pydantic.Field(max_length=5, pattern="^[a-z]*$")
        age: int = pydantic.Field(ge=0, le=30)
        colour: Colour
        toys: list[Literal["ball", "mouse"]] = pydantic.Field(max_length=2)

        @pydantic.field_validator("name")
        @classmethod
        def _not_never(cls, value: str) -> str:
            assert value != "never", "never"
            return value

    for seed in range(3):
        pet = small.generate("Hi", schema=Pet, seed=seed, temperature=1)
        assert isinstance(pet, Pet)
        assert pet.age <= 30
    form = output_format(small.vocabulary, schema=Pet)
    assert form is not None
    with pytest.raises(ConstraintError, match=r"Pet refuses it.*never"):
        form.result('{"name": "never", "age": 7, "colour": "red", "toys": []}')


def test_whatever_has_pydantics_two_methods_is_a_model(small: rgmlx.Model) -> None:
    class Own:
        @classmethod
        def model_json_schema(cls) -> dict[str, Any]:
            return {"enum": [1, 2]}

        @classmethod
        def model_validate(cls, value: Any) -> tuple[str, Any]:
            return "made", value

    made: Any = small.generate("Hi", schema=Own)
    assert made in (("made", 1), ("made", 2))


@pytest.mark.parametrize(
    ("schema", "narrowed"),
    [
        ({"type": "object", "properties": {"a": {}}}, {"additionalProperties": False}),
        ({"type": "object", "properties": {"a": {}}, "required": ["a"]}, {"additionalProperties": False}),
        ({"type": "object", "properties": {"a": {}}, "additionalProperties": True}, {}),
        ({"type": "object", "properties": {"a": {}}, "required": ["a", "b"]}, {}),
        ({"type": "object", "properties": {"a": {}}, "minProperties": 2}, {}),
        ({"type": "object"}, {}),
        ({"allOf": [{"type": "object", "properties": {"a": {}}}, {"properties": {"b": {}}}]}, {}),
        ({"anyOf": [{"type": "integer"}], "type": "integer"}, {}),
        ({"type": "integer"}, {"minimum": -(2**53), "maximum": 2**53}),
        ({"type": "integer", "exclusiveMinimum": 3}, {"maximum": 2**53}),
        ({"type": "number", "minimum": 0, "maximum": 1}, {"multipleOf": 1e-6}),
        ({"type": "number", "minimum": 0, "maximum": 1e-5}, {}),
        ({"type": "number", "multipleOf": 0.5}, {"minimum": -(2**53), "maximum": 2**53}),
        ({"type": ["null", "number"], "maximum": 5}, {"minimum": -(2**53), "multipleOf": 1e-6}),
        ({"type": "number", "minimum": 1e20}, {}),
        ({"type": "number", "maximum": -1e20}, {}),
        ({"type": "integer", "enum": [1, 2]}, {}),
        ({"minimum": 3}, {}),
        ({"const": {"type": "integer", "properties": {}}}, {}),
    ],
)
def test_what_a_schema_leaves_open_without_meaning_it_is_bounded(schema: Any, narrowed: Any) -> None:
    assert checked(schema) == {**schema, **narrowed}
    assert checked({"type": "array", "items": schema})["items"] == {**schema, **narrowed}
    assert checked({"$defs": {"a": schema}, "$ref": "#/$defs/a"})["$defs"]["a"] == {**schema, **narrowed}


@pytest.mark.parametrize("text", ["1" * 5000, "-" + "9" * 4400, "1e400", "-0", "1e-400"])
def test_numbers_of_any_length_parse(small: rgmlx.Model, text: str) -> None:
    """Python reads whole numbers of 4,300 digits at most."""
    form = output_format(small.vocabulary, schema={})
    assert form is not None
    value = form.result(text)
    assert isinstance(value, (int, float))
    if text.endswith("9"):
        assert value == -(10**4400 - 1)
    assert math.isinf(python_types.as_schema(float)[1](10**400))


def test_json_is_written_as_python_writes_it(small: rgmlx.Model) -> None:
    """Without white space to lose oneself in; a schema may ask for other."""
    schema: dict[str, Any] = {"const": {"a": [1, 2], "b": {}}}
    assert "".join(small.stream("Hi", schema=schema)) == '{"a": [1, 2], "b": {}}'
    tight = {**schema, "x-guidance": {"item_separator": ",", "key_separator": ":"}}
    assert "".join(small.stream("Hi", schema=tight)) == '{"a":[1,2],"b":{}}'
