"""Values made for JSON schemas."""

from __future__ import annotations

import itertools
import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.sandbox.patterns import text_for
from trunkline.sandbox.schemas import value_for

CASES: dict[str, Any] = {
    "nested": {
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 3, "maxLength": 9},
            "tags": {
                "type": "array",
                "items": {"type": "string"},
                "minItems": 3,
                "uniqueItems": True,
            },
            "at": {"$ref": "#/$defs/Place"},
        },
        "required": ["name", "tags", "at"],
        "additionalProperties": False,
        "$defs": {
            "Place": {
                "type": "object",
                "properties": {"lat": {"type": "number", "minimum": -90, "maximum": 90}},
                "required": ["lat"],
            }
        },
    },
    "recursive": {
        "$ref": "#/$defs/Node",
        "$defs": {
            "Node": {
                "type": "object",
                "properties": {
                    "value": {"type": "integer"},
                    "next": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]},
                    "children": {"type": "array", "items": {"$ref": "#/$defs/Node"}},
                },
                "required": ["value", "next", "children"],
            }
        },
    },
    "alternatives": {"oneOf": [{"type": "string", "maxLength": 3}, {"type": "integer"}]},
    "merged": {
        "allOf": [
            {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
            {"properties": {"b": {"const": 7}}, "required": ["b"]},
        ]
    },
    "enum": {"enum": [1, "two", None]},
    "types": {"type": ["string", "null"]},
    "tuple": {"type": "array", "prefixItems": [{"const": 1}, {"const": "b"}], "items": False},
    "contains": {"type": "array", "contains": {"const": 3}, "items": {"type": "integer"}},
    "numbers": {
        "type": "object",
        "properties": {
            "a": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.001},
            "b": {"type": "integer", "exclusiveMinimum": 3, "exclusiveMaximum": 5},
            "c": {"type": "integer", "multipleOf": 7, "minimum": 1},
            "d": {"type": "number", "maximum": -5},
            "e": {"type": "integer", "minimum": 5, "exclusiveMinimum": 5},
        },
        "required": ["a", "b", "c", "d", "e"],
    },
    "counts": {"type": "object", "minProperties": 3, "additionalProperties": {"type": "boolean"}},
    "at most": {
        "type": "object",
        "properties": {"a": True, "b": {"type": "null"}, "c": {"type": "string"}},
        "required": ["c"],
        "maxProperties": 1,
    },
    "untyped": {"properties": {"a": {"items": {"minimum": 2}}}, "required": ["a"]},
    "empty": {},
    "true": True,
}

FORMATS = ("date", "date-time", "email", "ipv4", "ipv6", "uri", "uuid", "time", "hostname", "regex")
PATTERNS = (
    r"^[A-Z]{2}\d{4}$",
    r"^(red|green|blue)-\w+$",
    r"^\+?[1-9][0-9]{7,14}$",
    r"^[^@\s]+@[^@\s]+\.[a-z]{2,}$",
    r"^(?P<year>\d{4})-(?:0[1-9]|1[0-2])$",
    r"^[\w.-]{3,10}\.tar\.gz$",
    r"^\u0041[]a-c]*$",
    r"^(?:a|b)+?c{0,2}\/\*$",
)


def check(value: Any, schema: Any) -> None:
    draft = jsonschema.Draft202012Validator
    draft(schema, format_checker=draft.FORMAT_CHECKER).validate(value)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("seed", ["0", "1", "2", "3"])
def test_a_value_fits_its_schema(name: str, seed: str) -> None:
    check(value_for(CASES[name], seed), CASES[name])


@pytest.mark.parametrize("name", FORMATS)
def test_a_string_has_the_format_that_is_asked_for(name: str) -> None:
    schema = {"type": "string", "format": name}
    check(value_for(schema, "0"), schema)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_string_fits_its_pattern(pattern: str) -> None:
    for seed in range(20):
        check(value_for({"type": "string", "pattern": pattern}, str(seed)), {"pattern": pattern})


def test_a_pattern_beyond_this_is_passed_over() -> None:
    picks = itertools.cycle([0])
    assert text_for("((((a{99}){99}){99}){99}", lambda _: next(picks)) is None
    assert isinstance(value_for({"type": "string", "pattern": "a{2"}, "0"), str)


def test_a_schema_without_end_still_ends() -> None:
    endless = {"type": "object", "properties": {"a": {"$ref": "#"}, "b": {"$ref": "#"}}}
    for schema in (
        {**endless, "required": ["a", "b"]},
        {"$ref": "#"},
        {"allOf": [{"$ref": "#"}]},
        {"type": "array", "minItems": 10**12, "items": {"type": "integer"}},
        {"type": "string", "minLength": 10**12},
    ):
        assert len(json.dumps(value_for(schema, "0"))) < 1_000_000


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "minLength": "three"},
        {"type": 7},
        {"enum": []},
        {"type": "array", "items": [7]},
        {"$ref": "#/nowhere"},
        {"anyOf": [7]},
        {"type": "object", "properties": 3, "required": [None]},
        {"type": "integer", "minimum": 5, "maximum": 3},
    ],
)
def test_a_schema_that_makes_no_sense_gives_some_value(schema: Any) -> None:
    value = value_for(schema, "0")
    assert json.loads(json.dumps(value)) == value
    assert value_for(schema, "0") == value


def _schemas() -> st.SearchStrategy[Any]:
    number = st.integers(-1000, 1000)
    simple = st.one_of(
        st.just({"type": "boolean"}),
        st.just({"type": "null"}),
        st.builds(lambda v: {"const": v}, number | st.text() | st.none()),
        st.builds(lambda v: {"enum": v}, st.lists(number | st.text(), min_size=1, unique=True)),
        st.builds(
            lambda low, more: {"type": "string", "minLength": low, "maxLength": low + more},
            st.integers(0, 30),
            st.integers(0, 30),
        ),
        st.builds(
            lambda kind, low, more: {"type": kind, "minimum": low, "maximum": low + more},
            st.sampled_from(["integer", "number"]),
            number,
            st.integers(0, 50),
        ),
        st.builds(
            lambda low, step: {"type": "integer", "exclusiveMinimum": low, "multipleOf": step},
            number,
            st.integers(1, 40),
        ),
    )
    return st.recursive(
        simple,
        lambda inner: st.one_of(
            st.builds(
                lambda items, low: {"type": "array", "items": items, "minItems": low},
                inner,
                st.integers(0, 3),
            ),
            st.dictionaries(st.text(max_size=4), inner, max_size=4).flatmap(
                lambda properties: st.builds(
                    lambda required: {
                        "type": "object",
                        "properties": properties,
                        "required": sorted(required),
                        "additionalProperties": False,
                    },
                    st.sets(st.sampled_from(sorted(properties))) if properties else st.just(set()),
                )
            ),
            st.builds(lambda options: {"anyOf": options}, st.lists(inner, min_size=1, max_size=3)),
        ),
        max_leaves=12,
    )


@given(_schemas(), st.integers(0, 3))
def test_any_schema_of_the_usual_words_is_fitted(schema: Any, seed: int) -> None:
    check(value_for(schema, str(seed)), schema)
