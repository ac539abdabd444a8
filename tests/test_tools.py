"""Functions read as tools, and dicts checked."""

from __future__ import annotations

import datetime as dt
import enum
import functools
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import msgspec
import pydantic
import pytest

from trunkline.errors import InvalidInputError
from trunkline.tools import check_tool, function_tool, read_function, tool_schemas


class Unit(enum.Enum):
    CELSIUS = "celsius"
    FAHRENHEIT = "fahrenheit"


@dataclass
class Place:
    """Somewhere on Earth."""

    latitude: float
    longitude: float


class Stay(TypedDict):
    nights: int
    breakfast: NotRequired[bool]


class Guest(msgspec.Struct):
    name: str
    age: int | None = None


class Room(pydantic.BaseModel):
    number: int
    beds: int = pydantic.Field(default=1, ge=1, description="how many")


class Folder(pydantic.BaseModel):
    name: str
    folders: list[Folder] = []


def properties(function: Any) -> dict[str, Any]:
    found: dict[str, Any] = function_tool(function)["function"]["parameters"]["properties"]
    return found


def test_a_typed_function_becomes_a_tool() -> None:
    def weather(city: str, unit: Literal["c", "f"] = "c") -> str:
        """Tell the weather of a city
        as it is now.

        More than a model needs to know.

        Args:
            city: Its name, with its country
                where it is needed.
            unit: Degrees.

        Returns:
            What it is like.
        """
        return f"{city} {unit}"

    assert function_tool(weather) == {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "Tell the weather of a city as it is now.",
            "parameters": {
                "type": "object",
                "properties": {
                    "city": {
                        "type": "string",
                        "description": "Its name, with its country where it is needed.",
                    },
                    "unit": {
                        "type": "string",
                        "enum": ["c", "f"],
                        "default": "c",
                        "description": "Degrees.",
                    },
                },
                "required": ["city"],
                "additionalProperties": False,
            },
        },
    }


ENUM = {"type": "string", "enum": ["celsius", "fahrenheit"]}
PLACE = {
    "description": "Somewhere on Earth.",
    "type": "object",
    "properties": {"latitude": {"type": "number"}, "longitude": {"type": "number"}},
    "required": ["latitude", "longitude"],
}
ROOM = {
    "type": "object",
    "properties": {
        "number": {"type": "integer"},
        "beds": {"type": "integer", "default": 1, "minimum": 1, "description": "how many"},
    },
    "required": ["number"],
}
TYPES: list[tuple[Any, dict[str, Any]]] = [
    (int, {"type": "integer"}),
    (bool, {"type": "boolean"}),
    (list[str], {"type": "array", "items": {"type": "string"}}),
    (dict[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}),
    (str | None, {"anyOf": [{"type": "string"}, {"type": "null"}]}),
    (Literal[1, 2], {"type": "integer", "enum": [1, 2]}),
    (Literal["a", 1], {"enum": [1, "a"]}),
    (Unit, ENUM),
    (Place, PLACE),
    (list[Place], {"type": "array", "items": PLACE}),
    (
        Stay,
        {
            "type": "object",
            "properties": {"nights": {"type": "integer"}, "breakfast": {"type": "boolean"}},
            "required": ["nights"],
        },
    ),
    (
        Guest,
        {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "age": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None},
            },
            "required": ["name"],
        },
    ),
    (Room, ROOM),
    (Room | None, {"anyOf": [ROOM, {"type": "null"}]}),
    (dt.date, {"type": "string", "format": "date"}),
    (dt.datetime, {"type": "string", "format": "date-time"}),
    (Any, {}),
    (object, {}),
    (Annotated[int, "how many"], {"type": "integer", "description": "how many"}),
    (
        Annotated[int, msgspec.Meta(ge=1, description="how many")],
        {"type": "integer", "minimum": 1, "description": "how many"},
    ),
    (
        Annotated[int, pydantic.Field(description="how many")],
        {"type": "integer", "description": "how many"},
    ),
]


@pytest.mark.parametrize(("annotation", "schema"), TYPES, ids=[str(row[0]) for row in TYPES])
def test_a_type_becomes_its_schema(annotation: Any, schema: dict[str, Any]) -> None:
    def tool(x: Any) -> None: ...

    tool.__annotations__["x"] = annotation
    assert properties(tool) == {"x": schema}


def test_a_type_that_holds_itself_is_referred_to() -> None:
    def tool(root: Folder, other: Folder | None = None) -> None: ...

    parameters = function_tool(tool)["function"]["parameters"]
    assert parameters["properties"]["root"] == {"$ref": "#/$defs/Folder"}
    folders = parameters["$defs"]["Folder"]["properties"]["folders"]
    assert folders == {"type": "array", "items": {"$ref": "#/$defs/Folder"}, "default": []}


def test_a_parameter_without_annotation_takes_anything() -> None:
    def tool(x, y=2, **rest): ...  # type: ignore[no-untyped-def]  # what the test is about

    parameters = function_tool(tool)["function"]["parameters"]
    assert parameters["properties"] == {"x": {}, "y": {"default": 2}}
    assert parameters["required"] == ["x"]


@pytest.mark.parametrize("default", [None, object(), float("inf"), float("nan")])
def test_a_default_that_json_cannot_say_is_left_out(default: Any) -> None:
    def tool(x: float = default) -> None: ...

    parameters = function_tool(tool)["function"]["parameters"]
    assert parameters["properties"] == {"x": {"type": "number"}}
    assert parameters["required"] == []


def test_a_function_without_parameters_or_docstring_is_a_tool() -> None:
    def now() -> str:
        return "now"

    assert function_tool(now)["function"] == {
        "name": "now",
        "parameters": {
            "type": "object",
            "properties": {},
            "required": [],
            "additionalProperties": False,
        },
    }


class Shop:
    def find(self, name: str) -> str:
        """Find a thing."""
        return name

    @classmethod
    def open(cls, day: str) -> str:
        return day

    @staticmethod
    def price(name: str) -> float:
        return len(name)


@pytest.mark.parametrize(
    ("function", "names"),
    [(Shop().find, ["name"]), (Shop.open, ["day"]), (Shop.price, ["name"])],
)
def test_bound_methods_lack_their_object(function: Any, names: list[str]) -> None:
    assert list(properties(function)) == names


def test_an_async_function_is_a_tool() -> None:
    async def fetch(url: str) -> str:
        return url

    assert list(properties(fetch)) == ["url"]
    assert read_function(fetch).awaits


def test_a_decorated_function_is_read_as_it_was_written() -> None:
    @functools.cache
    def square(x: int) -> int:
        """Square it."""
        return x * x

    assert properties(square) == {"x": {"type": "integer"}}
    assert function_tool(square)["function"]["description"] == "Square it."


def starred(*words: str) -> None: ...


def complicated(x: complex) -> None: ...


def unresolved(x: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821 - the point


def renamed(x: int) -> None: ...


renamed.__name__ = "größe"


REFUSED: list[tuple[Any, str]] = [
    (lambda x: x, "no name"),
    (functools.partial(starred, "a"), "no name"),
    (Place, "not a function"),
    (5, "not a function"),
    (starred, "words has no name for a model"),
    (complicated, "no JSON schema"),
    (unresolved, "cannot be resolved"),
    (renamed, "its name"),
    (Shop.find, "give object.method"),
]


@pytest.mark.parametrize(("function", "says"), REFUSED, ids=[row[1] for row in REFUSED])
def test_what_cannot_be_a_tool_says_why(function: Any, says: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        function_tool(function)
    assert says in caught.value.message
    assert caught.value.hint


WIRE = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


@pytest.mark.parametrize(
    "tool",
    [
        WIRE,
        {"type": "function", "function": {"name": "f"}},
        {"type": "function", "function": {"name": "f", "parameters": {}}},
        {"type": "browser_search"},
    ],
)
def test_a_proper_dict_passes_unchanged(tool: dict[str, Any]) -> None:
    assert check_tool(tool) == tool


@pytest.mark.parametrize(
    ("tool", "says"),
    [
        ({}, "has no type"),
        ({"name": "f", "parameters": {}}, "has no type"),
        ({"type": 5}, "has the type 5"),
        ({"type": "function"}, "has no function"),
        ({"type": "function", "function": "f"}, "has no function"),
        ({"type": "function", "function": {}}, "has no name"),
        ({"type": "function", "function": {"name": ""}}, "has no name"),
        ({"type": "function", "function": {"name": "a b"}}, "'a b'"),
        ({"type": "function", "function": {"name": "a" * 65}}, "is called"),
        ({"type": "function", "function": {"name": 5}}, "is called 5"),
        ({"type": "function", "function": {"name": "f", "parameters": []}}, "no schema"),
        (
            {"type": "function", "function": {"name": "f", "parameters": {"type": "array"}}},
            "no sch",
        ),
        ("f", "is a str"),
        (None, "is a NoneType"),
    ],
)
def test_a_wrong_tool_is_named_by_its_place(tool: Any, says: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        tool_schemas([WIRE, tool])
    assert "tools[1]" in caught.value.message
    assert says in caught.value.message
    assert caught.value.hint


def test_dicts_and_functions_go_together() -> None:
    def g(x: int) -> None: ...

    assert tool_schemas([WIRE, g, {"type": "browser_search"}]) == [
        WIRE,
        function_tool(g),
        {"type": "browser_search"},
    ]


@pytest.mark.parametrize("tools", [WIRE, "f", starred])
def test_what_is_no_list_of_tools_is_refused(tools: Any) -> None:
    with pytest.raises(InvalidInputError, match="not a list"):
        tool_schemas(tools)


def test_a_name_that_is_there_twice_is_refused() -> None:
    def f() -> None: ...

    with pytest.raises(InvalidInputError, match="'f'"):
        tool_schemas([WIRE, f])
