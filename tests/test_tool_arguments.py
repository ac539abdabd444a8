"""What a model wrote, as what a function takes."""

from __future__ import annotations

import datetime as dt
import enum
from dataclasses import dataclass
from typing import Any

import msgspec
import pydantic
import pytest

from trunkline.tools import read_function
from trunkline.typed_json import MisfitError


class Unit(enum.Enum):
    CELSIUS = "celsius"
    FAHRENHEIT = "fahrenheit"


@dataclass
class Place:
    latitude: float
    longitude: float


class Guest(msgspec.Struct):
    name: str


class Room(pydantic.BaseModel):
    number: int
    beds: int = pydantic.Field(default=1, ge=1)


def order(
    where: Place, /, guest: Guest, unit: Unit = Unit.CELSIUS, *, when: dt.date, room: Room
) -> None: ...


def read(function: Any, text: str) -> tuple[list[Any], dict[str, Any]]:
    return read_function(function).arguments_reader()(text)


def test_arguments_arrive_as_the_types_say() -> None:
    text = """{"where": {"latitude": 1, "longitude": 2}, "guest": {"name": "Ada"},
               "unit": "fahrenheit", "when": "2026-01-02", "room": {"number": 5}}"""
    assert read(order, text) == (
        [Place(1.0, 2.0)],
        {
            "guest": Guest("Ada"),
            "unit": Unit.FAHRENHEIT,
            "when": dt.date(2026, 1, 2),
            "room": Room(number=5),
        },
    )


def test_positional_parameters_take_their_defaults_where_one_follows() -> None:
    def tool(a: int = 1, b: int = 2, c: int = 3, /, d: int = 4) -> None: ...

    assert read(tool, '{"b": 5}') == ([1, 5], {})
    assert read(tool, '{"d": 5}') == ([], {"d": 5})
    assert read(tool, "{}") == ([], {})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "truncated"),
        ("[1]", "object"),
        ('{"count": "many"}', "Expected `int`, got `str` - at `$.count`"),
        ("{}", "missing required field `count`"),
        ('{"count": 1, "cuont": 2}', "no argument 'cuont'; those that exist: count, room"),
        ('{"count": 1, "room": {"number": 1, "beds": 0}}', "beds: Input should be greater"),
    ],
)
def test_arguments_that_do_not_fit_say_where(text: str, says: str) -> None:
    def tool(count: int, room: Room | None = None) -> None: ...

    with pytest.raises(MisfitError) as caught:
        read(tool, text)
    assert says in str(caught.value)
    assert "errors.pydantic.dev" not in str(caught.value)


def test_numbers_written_as_text_are_taken_as_numbers() -> None:
    def tool(count: int, share: float, name: str) -> None: ...

    assert read(tool, '{"count": "5", "share": "0.5", "name": "7"}') == (
        [],
        {"count": 5, "share": 0.5, "name": "7"},
    )
