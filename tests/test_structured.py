"""Typed answers: schemas out, values in, and what is said when they do not fit."""

from __future__ import annotations

import datetime as dt
import enum
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.errors import InvalidInputError, OutputValidationError
from trunkline.structured import parse_answer, response_format_for
from trunkline.types import (
    Attempt,
    Choice,
    Completion,
    FunctionCall,
    Message,
    Receipt,
    TokenCount,
    ToolCall,
)


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Person(msgspec.Struct):
    name: str
    age: int
    email: str | None = None


@dataclass
class Team:
    lead: Person
    members: list[Person] = field(default_factory=list)


class Film(TypedDict):
    """A film."""

    year: int
    title: str
    director: NotRequired[str]


class City(pydantic.BaseModel):
    name: str = pydantic.Field(description="in English", min_length=1)
    founded: dt.date | None = None


class Trip(pydantic.BaseModel):
    stops: list[City]


class Tree(msgspec.Struct):
    value: int
    children: list[Tree] = []


class Cat(msgspec.Struct, tag=True):
    lives: int


class Dog(msgspec.Struct, tag=True):
    tricks: list[str]


def answered(content: str | None, finish: str | None = "stop", **more: Any) -> Completion:
    return Completion("c", "org/m", [Choice(0, Message(content=content, **more), finish)])


PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": "integer"},
        "email": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    },
    "required": ["name", "age", "email"],
    "additionalProperties": False,
}
CITY = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "description": "in English", "minLength": 1},
        "founded": {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]},
    },
    "required": ["name", "founded"],
    "additionalProperties": False,
}


def wrapped(schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"value": schema},
        "required": ["value"],
        "additionalProperties": False,
    }


def tagged(name: str, key: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"type": {"type": "string", "enum": [name]}, key: schema},
        "required": ["type", key],
        "additionalProperties": False,
    }


FORMATS: list[tuple[Any, str, dict[str, Any]]] = [
    (Person, "Person", PERSON),
    (
        Team,
        "Team",
        {
            "type": "object",
            "properties": {"lead": PERSON, "members": {"type": "array", "items": PERSON}},
            "required": ["lead", "members"],
            "additionalProperties": False,
        },
    ),
    (
        Film,
        "Film",
        {
            "description": "A film.",
            "type": "object",
            "properties": {
                "year": {"type": "integer"},
                "title": {"type": "string"},
                "director": {"type": "string"},
            },
            "required": ["year", "title", "director"],
            "additionalProperties": False,
        },
    ),
    (City, "City", CITY),
    (
        Trip,
        "Trip",
        {
            "type": "object",
            "properties": {"stops": {"type": "array", "items": CITY}},
            "required": ["stops"],
            "additionalProperties": False,
        },
    ),
    (list[City], "answer", wrapped({"type": "array", "items": CITY})),
    (Literal["a", "b"], "answer", wrapped({"type": "string", "enum": ["a", "b"]})),
    (Colour, "Colour", wrapped({"type": "string", "enum": ["red", "blue"]})),
    (int, "int", wrapped({"type": "integer"})),
    (
        Cat | Dog,
        "answer",
        wrapped(
            {
                "anyOf": [
                    tagged("Cat", "lives", {"type": "integer"}),
                    tagged("Dog", "tricks", {"type": "array", "items": {"type": "string"}}),
                ]
            }
        ),
    ),
]


@pytest.mark.parametrize(("kind", "name", "schema"), FORMATS, ids=[str(row[0]) for row in FORMATS])
def test_a_type_becomes_a_strict_schema(kind: Any, name: str, schema: dict[str, Any]) -> None:
    assert response_format_for(kind) == {
        "type": "json_schema",
        "json_schema": {"name": name, "schema": _sorted(schema), "strict": True},
    }


def _sorted(schema: Any) -> Any:
    """Return the schema with enumerations as msgspec sorts them."""
    if isinstance(schema, dict):
        return {k: sorted(v) if k == "enum" else _sorted(v) for k, v in schema.items()}
    return [_sorted(item) for item in schema] if isinstance(schema, list) else schema


def test_keys_stand_in_the_order_in_which_they_were_written() -> None:
    schema = response_format_for(list[Film])["json_schema"]["schema"]
    film = schema["properties"]["value"]["items"]
    assert list(film["properties"]) == film["required"] == ["year", "title", "director"]


def test_a_type_that_holds_itself_is_referred_to() -> None:
    schema = response_format_for(Tree)["json_schema"]["schema"]
    children = {"type": "array", "items": {"$ref": "#/$defs/Tree"}}
    for tree in (schema, schema["$defs"]["Tree"]):
        assert tree["properties"] == {"value": {"type": "integer"}, "children": children}
        assert tree["required"] == ["value", "children"]


class Loose(msgspec.Struct):
    notes: dict[str, int]


class Extra(pydantic.BaseModel, extra="allow"):
    x: int


@pytest.mark.parametrize("kind", [dict[str, int], dict, Loose, list[Any], list, Any, Extra])
def test_what_strict_mode_cannot_say_is_not_called_strict(kind: Any) -> None:
    assert response_format_for(kind)["json_schema"]["strict"] is False


def test_a_returned_format_is_the_callers_own() -> None:
    response_format_for(Person)["json_schema"].clear()
    assert response_format_for(Person)["json_schema"]["name"] == "Person"


def test_an_unhashable_type_is_read_all_the_same() -> None:
    kinds: list[Any] = [Annotated[int, ["no dict can hold this"]]]
    assert parse_answer(kinds[0], answered('{"value": 5}')) == 5


@pytest.mark.parametrize("kind", [complex, Person | Team, object(), "Person"])
def test_a_type_without_schema_is_refused(kind: Any) -> None:
    with pytest.raises(InvalidInputError, match="cannot be a response_model"):
        response_format_for(kind)


ADA = '{"name": "Ada", "age": 36}'
READ: list[tuple[Any, str, Any]] = [
    (Person, ADA, Person("Ada", 36)),
    (Person, f"  {ADA}\n", Person("Ada", 36)),
    (Person, f"```json\n{ADA}\n```", Person("Ada", 36)),
    (Person, f"```\n{ADA}```\n", Person("Ada", 36)),
    (Person, f"Here you are:\n```json\n{ADA}\n```\nAnything else?", Person("Ada", 36)),
    (Person, f"Sure [1]! {ADA} (from {{memory}})", Person("Ada", 36)),
    (Person, f"<think>{{}} or {ADA}?</think>\n{ADA}", Person("Ada", 36)),
    (Person, '{"name": "</think>", "age": 1}', Person("</think>", 1)),
    (Film, '{"year": 1982, "title": "Tron"}', {"year": 1982, "title": "Tron"}),
    (
        City,
        '{"name": "Rome", "founded": "0001-01-01"}',
        City(name="Rome", founded=dt.date(1, 1, 1)),
    ),
    (list[City], '{"value": [{"name": "Rome"}]}', [City(name="Rome")]),
    (list[City], '[{"name": "Rome"}]', [City(name="Rome")]),
    (list[int], "Here: [1, 2]", [1, 2]),
    (Colour, '{"value": "blue"}', Colour.BLUE),
    (Colour, '"blue"', Colour.BLUE),
    (Cat | Dog, '{"value": {"type": "Cat", "lives": 9}}', Cat(9)),
    (Cat | Dog, '{"type": "Dog", "tricks": []}', Dog([])),
    (Tree, '{"value": 1, "children": [{"value": 2}]}', Tree(1, [Tree(2)])),
]


@pytest.mark.parametrize(("kind", "text", "value"), READ)
def test_an_answer_is_read_as_its_type(kind: Any, text: str, value: Any) -> None:
    assert parse_answer(kind, answered(text)) == value


def test_a_whole_answer_counts_even_if_it_was_cut() -> None:
    assert parse_answer(Person, answered(ADA, "length")) == Person("Ada", 36)


CALL = ToolCall("id", FunctionCall("f"))
UNFIT: list[tuple[Completion, str, str]] = [
    (answered("I do not know."), "misfit", "JSON is malformed"),
    (answered('{"name": "Ada", "age": "?"}'), "misfit", "Expected `int`, got `str` - at `$.age`"),
    (answered("{}"), "misfit", "missing required field `name`"),
    (answered(f"{ADA} or {ADA}"), "ambiguous", "2 different values"),
    (answered("{" * 100_000), "misfit", "does not fit Person"),
    (answered('{"name": "A', "length"), "length", "cut by max_tokens"),
    (answered('{"name": "A', "content_filter"), "content_filter", "content filter"),
    (answered(""), "empty", "it is empty"),
    (answered(None), "empty", "it is empty"),
    (answered(None, "length", reasoning="hm"), "length", "only reasoned. It was cut by max_tokens"),
    (answered("<think>hm</think>"), "empty", "it is empty"),
    (answered(None, "tool_calls", tool_calls=[CALL]), "empty", "called tools instead"),
    (answered(None, refusal="I will not."), "refusal", "I will not."),
    (answered(ADA, refusal="I will not."), "refusal", "I will not."),
    (Completion("c", "m", []), "empty", "it is empty"),
]


@pytest.mark.parametrize(("completion", "code", "says"), UNFIT, ids=[row[2] for row in UNFIT])
def test_an_answer_that_does_not_fit_says_why(completion: Completion, code: str, says: str) -> None:
    with pytest.raises(OutputValidationError) as caught:
        parse_answer(Person, completion)
    error = caught.value
    assert error.code == code
    assert says in error.message
    assert error.completion is completion
    assert error.hint


def test_the_error_keeps_the_raw_text_and_the_receipt() -> None:
    attempt = Attempt(1, "groq", "m", "https://x", 200, None, "r1", 0.0, 1.0)
    tokens = TokenCount(1, 1, "provider")
    receipt = Receipt("groq", "m", "r1", (attempt,), None, 1.0, tokens)
    completion = msgspec.structs.replace(answered("No idea."), receipt=receipt)
    with pytest.raises(OutputValidationError) as caught:
        parse_answer(Person, completion)
    error = caught.value
    assert (error.text, error.provider, error.request_id) == ("No idea.", "groq", "r1")
    assert error.attempts == (attempt,)


def test_pydantic_says_where_without_links() -> None:
    with pytest.raises(OutputValidationError) as caught:
        parse_answer(Trip, answered('{"stops": [{"name": ""}]}'))
    assert "stops.0.name: String should have at least 1 character" in caught.value.message
    assert "https://" not in caught.value.message


class Everything(msgspec.Struct):
    name: str
    count: Annotated[int, msgspec.Meta(ge=0)]
    share: float
    flag: bool | None
    colour: Colour
    when: dt.date
    pairs: dict[str, list[int]]
    pets: list[Cat | Dog]
    pair: tuple[int, str]


numbers = st.integers(-(2**53), 2**53)
everything = st.builds(
    Everything,
    name=st.text(),
    count=st.integers(0, 2**53),
    share=st.floats(allow_nan=False, allow_infinity=False),
    flag=st.none() | st.booleans(),
    colour=st.sampled_from(Colour),
    when=st.dates(),
    pairs=st.dictionaries(st.text(), st.lists(numbers)),
    pets=st.lists(st.builds(Cat, numbers) | st.builds(Dog, st.lists(st.text()))),
    pair=st.tuples(numbers, st.text()),
)


@given(everything, st.sampled_from(["{}", "```json\n{}\n```", "Here it is: {}", "{}\nDone."]))
def test_every_value_survives_the_way_through_json(value: Everything, around: str) -> None:
    text = msgspec.json.encode(value).decode()
    assert parse_answer(Everything, answered(around.replace("{}", text))) == value


@given(st.lists(everything, max_size=3))
def test_every_list_survives_the_way_through_json(values: list[Everything]) -> None:
    for body in ({"value": values}, values):
        text = msgspec.json.encode(body).decode()
        assert parse_answer(list[Everything], answered(text)) == values


@given(st.text(max_size=100))
def test_any_text_is_a_value_or_an_error_with_that_text(text: str) -> None:
    with pytest.raises(OutputValidationError) as caught:
        parse_answer(Person, answered(text))
    assert caught.value.text in (text, "")
