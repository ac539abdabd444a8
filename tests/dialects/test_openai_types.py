"""The Responses API as OpenAI's own client declares it: every event, every item, nothing lost."""

from __future__ import annotations

import json
import types
from collections.abc import Iterator
from itertools import count
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest
from openai.types import responses as theirs
from pydantic import BaseModel
from streams import event

from trunkline.dialects.openai_responses import read_answer
from trunkline.dialects.response_events import ResponseReader


def sample(kind: Any, numbers: Iterator[int], *, full: bool) -> Any:
    """Make a value of a declared type; with `full`, its optional fields too."""
    origin, inner = get_origin(kind), get_args(kind)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return {
            field.alias or name: sample(field.annotation, numbers, full=full)
            for name, field in kind.model_fields.items()
            if full or field.is_required()
        }
    if origin is Annotated:
        return sample(inner[0], numbers, full=full)
    if origin is Literal:
        return inner[0]
    if origin is Union or isinstance(kind, types.UnionType):
        told = [one for one in inner if one is not type(None)]
        return sample(told[0], numbers, full=full)
    if origin is list:
        return [sample(inner[0], numbers, full=full)]
    if origin is dict:
        return {"key": sample(inner[1], numbers, full=full)}
    if hasattr(kind, "__value__"):
        return sample(kind.__value__, numbers, full=full)
    made = {str: lambda: f"text {next(numbers)}", int: lambda: next(numbers), float: lambda: 1.5}
    return made[kind]() if kind in made else True if kind is bool else {"any": 1}


def members(union: Any) -> tuple[Any, ...]:
    inner = get_args(union)
    return members(inner[0]) if get_origin(union) is Annotated else inner


EVENTS = [
    kind
    for kind in members(theirs.ResponseStreamEvent)
    if kind not in (theirs.ResponseErrorEvent, theirs.ResponseFailedEvent)  # those end in an error
]


def told(value: Any) -> Any:
    """Return a value without its nulls, which `to_dict` leaves out."""
    if isinstance(value, dict):
        return {name: told(inner) for name, inner in value.items() if inner is not None}
    return [told(inner) for inner in value] if isinstance(value, list) else value


def response(*, full: bool, **more: Any) -> dict[str, Any]:
    numbers = count()
    items = [sample(kind, numbers, full=full) for kind in members(theirs.ResponseOutputItem)]
    made = sample(theirs.Response, numbers, full=full)
    return {**made, "output": items, "status": "completed", "error": None, **more}


fully = pytest.mark.parametrize("full", [True, False], ids=["full", "bare"])


@fully
@pytest.mark.parametrize("kind", members(theirs.ResponseOutputItem), ids=lambda kind: kind.__name__)
def test_every_item_keeps_all_its_fields(kind: type[BaseModel], full: bool) -> None:
    item = sample(kind, count(), full=full)
    answer = read_answer(json.dumps(response(full=False, output=[item])).encode())
    assert answer.to_dict()["output"] == [told(item)]


@fully
def test_a_response_with_every_item_keeps_all_its_fields_and_their_order(full: bool) -> None:
    body = response(full=full)
    answer = read_answer(json.dumps(body).encode())
    assert answer.to_dict() == told(body)
    known = theirs.Response.model_validate(body)
    assert answer.output_text == known.output_text
    assert [item.type for item in answer.output] == [item.type for item in known.output]


@fully
@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.__name__)
def test_every_event_keeps_all_its_fields(kind: type[BaseModel], full: bool) -> None:
    body = sample(kind, count(), full=full)
    if "response" in body:
        body["response"] = response(full=full)
    reader = ResponseReader()
    opened = reader.feed(event({"type": "a.first.event"}))  # behind it, announcements come at once
    (found,) = reader.feed(event(body))
    assert found.to_dict() == told(body)
    assert (len(opened), reader.failure) == (1, None)


STREAMED = [
    {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": [
        {"type": "output_text", "text": "Rain.", "annotations": [{"type": "url_citation"}]},
        {"type": "refusal", "refusal": "No."}]},
    {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "Hm."}],
     "content": [{"type": "reasoning_text", "text": "Rain?"}]},
    {"type": "function_call", "id": "f", "call_id": "c", "name": "f", "arguments": '{"a": 1}'},
    {"type": "mcp_call", "id": "p", "name": "t", "server_label": "s", "arguments": "{}"},
    {"type": "custom_tool_call", "id": "u", "call_id": "d", "name": "g", "input": "go"},
    {"type": "code_interpreter_call", "id": "i", "container_id": "x", "code": "1 + 1",
     "outputs": [], "status": "completed"},
]  # fmt: skip
TEXTS = {
    "output_text": ("output_text", "text"),
    "refusal": ("refusal", "refusal"),
    "summary_text": ("reasoning_summary_text", "text"),
    "reasoning_text": ("reasoning_text", "text"),
    "function_call": ("function_call_arguments", "arguments"),
    "mcp_call": ("mcp_call_arguments", "arguments"),
    "custom_tool_call": ("custom_tool_call_input", "input"),
    "code_interpreter_call": ("code_interpreter_call_code", "code"),
}
"""The events of a text, and its field."""


def spelt(body: dict[str, Any], where: dict[str, Any], ending: str) -> Iterator[dict[str, Any]]:
    """Yield the events of the text that a part or item has, if it has one."""
    name, field = TEXTS.get(body["type"], ("", ""))
    if name and ending == "delta":
        for letter in body[field]:
            yield {"type": f"response.{name}.delta", "delta": letter, **where}
    elif name:
        yield {"type": f"response.{name}.done", field: body[field], **where}


def parts_of(item: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Yield what a part's events are called, where it is, and itself."""
    places = (
        ("content", "content", "content_part"),
        ("summary", "summary", "reasoning_summary_part"),
    )
    for name, index, called in places:
        for place, part in enumerate(item.get(name, ())):
            yield called, {f"{index}_index": place}, part


def without_texts(item: dict[str, Any]) -> dict[str, Any]:
    field = TEXTS.get(item["type"], ("", ""))[1]
    return {n: "" if n == field else v for n, v in item.items() if n not in ("content", "summary")}


def streamed(item: dict[str, Any], place: int, ending: str) -> Iterator[dict[str, Any]]:
    """Yield the events of an item before the one that has it whole."""
    where = {"output_index": place, "item_id": item["id"]}
    yield {"type": "response.output_item.added", "item": without_texts(item), **where}
    yield from spelt(item, where, ending)
    for called, index, part in parts_of(item):
        at = {**where, **index}
        empty = {name: [] if name == "annotations" else "" for name in part} | {
            "type": part["type"]
        }
        yield {"type": f"response.{called}.added", "part": empty, **at}
        yield from spelt(part, at, ending)
        for note in part.get("annotations", ()):
            yield {"type": "response.output_text.annotation.added", "annotation": note, **at}


@pytest.mark.parametrize("ending", ["delta", "done"])
@pytest.mark.parametrize("item", STREAMED, ids=lambda item: item["type"])
def test_what_was_streamed_of_an_item_is_that_item(item: dict[str, Any], ending: str) -> None:
    reader = ResponseReader()
    for body in streamed(item, 3, ending):
        reader.feed(event(body))
    assert reader.whole().to_dict()["output"] == [told(item)]


@pytest.mark.parametrize("item", STREAMED, ids=lambda item: item["type"])
def test_what_was_streamed_of_an_item_that_was_not_announced_is_not_lost(
    item: dict[str, Any],
) -> None:
    reader = ResponseReader()
    for body in streamed(item, 0, "delta"):
        if not body["type"].endswith((".output_item.added", "_part.added")):
            reader.feed(event(body))
    (found,) = reader.whole().output
    assert found.type == item["type"]
    fields = {"content", "summary", TEXTS.get(item["type"], ("", "content"))[1]} & set(item)
    assert {name: found.to_dict()[name] for name in fields} == {n: told(item[n]) for n in fields}


def test_items_without_a_place_follow_each_other() -> None:
    reader = ResponseReader()
    for name in ("f", "g"):
        call = {"type": "function_call", "name": name, "arguments": ""}
        reader.feed(event({"type": "response.output_item.added", "item": call}))
        for piece in ("{", "}"):
            told_piece = {"type": "response.function_call_arguments.delta", "delta": piece}
            reader.feed(event(told_piece))
    assert [(c.name, c.arguments) for c in reader.whole().function_calls] == [
        ("f", "{}"),
        ("g", "{}"),
    ]


REFUSED = get_args(theirs.ResponseError.model_fields["code"].annotation)


@pytest.mark.parametrize("code", REFUSED)
@pytest.mark.parametrize("how", ["failed", "error"])
def test_every_code_of_a_failure_says_whose_fault_it_is(code: str, how: str) -> None:
    said = {"code": code, "message": "It went wrong."}
    bodies = {
        "failed": {"type": "response.failed", "response": response(full=False, error=said)},
        "error": {"type": "error", "param": None, "sequence_number": 1, **said},
    }
    reader = ResponseReader()
    assert reader.feed(event(bodies[how])) == []
    statuses = {"server_error": 500, "rate_limit_exceeded": 429, "vector_store_timeout": 504}
    assert reader.failure is not None
    assert reader.failure.status == statuses.get(code, 400)


@pytest.mark.parametrize("kind", ["response.content_part.moved", "response.output_text.moved"])
def test_an_event_that_is_only_named_like_a_known_one_changes_nothing(kind: str) -> None:
    reader = ResponseReader()
    (found,) = reader.feed(event({"type": kind, "text": "x", "more": 1}))
    assert found.to_dict() == {"type": kind, "text": "x", "more": 1}
    assert reader.whole().output == []
    assert reader.failure is None


def test_an_image_fits_into_an_event() -> None:
    image = {
        "type": "response.image_generation_call.partial_image",
        "partial_image_b64": "A" * 3_000_000,
    }
    data = event(image)
    reader = ResponseReader()
    found = [one for at in range(0, len(data), 65536) for one in reader.feed(data[at : at + 65536])]
    assert [one.to_dict() for one in found] == [image]
