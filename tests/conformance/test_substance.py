"""Nothing that a recorded chat said is lost or changed on its way to the caller."""

from __future__ import annotations

import json
import random
import re
from typing import Any

import pytest
from recordings import Exchange, chats, needs_recordings
from replay import Outcome, Replays, split

from trunkline.dialects.openai_chat import ChunkReader, read_answer
from trunkline.types import Completion

pytestmark = needs_recordings

REASONING = ("reasoning", "reasoning_content", "reasoning_text")
REQUEST_ID = ("x-request-id", "x-amzn-trace-id", "x-amz-cf-id", "inference-id")

ERROR_WITHIN = b"event: error"
ANSWERED = [e for e in chats() if e.status == 200 and not e.packed and ERROR_WITHIN not in e.body]
BROKEN_OFF = [e for e in chats() if ERROR_WITHIN in e.body]
THINKING = [e for e in ANSWERED if b"</think>" in e.body]
UNSTREAMED = [e for e in ANSWERED if not e.asked_stream]
STREAMED = [e for e in ANSWERED if e.asked_stream]
every_chat = pytest.mark.parametrize("exchange", chats(), ids=str)
every_answer = pytest.mark.parametrize("exchange", ANSWERED, ids=str)
every_whole_answer = pytest.mark.parametrize("exchange", UNSTREAMED, ids=str)
every_stream = pytest.mark.parametrize("exchange", STREAMED, ids=str)


@every_whole_answer
def test_text_and_reasoning_are_the_messages_own(exchange: Exchange, replays: Replays):
    raw, ours = exchange.json["choices"], _answer(replays, exchange)["choices"]
    assert len(raw) == len(ours)
    for told, said in zip(raw, ours, strict=True):
        message = told["message"]
        assert said["message"]["content"] == message.get("content")
        assert said["message"]["reasoning"] == _reasoning(message)
        assert said["finish_reason"] == told["finish_reason"]


@every_stream
def test_text_and_reasoning_are_all_that_the_deltas_added(exchange: Exchange, replays: Replays):
    events = _events(exchange)
    ours = _answer(replays, exchange)["choices"]
    numbers = sorted({choice["index"] for event in events for choice in event["choices"]})
    assert [choice["index"] for choice in ours] == numbers
    for number, said in zip(numbers, ours, strict=True):
        parts = [c for event in events for c in event["choices"] if c["index"] == number]
        deltas = [part.get("delta") or {} for part in parts]
        content = "".join(delta.get("content") or "" for delta in deltas)
        assert (said["message"]["content"] or "") == content
        assert (said["message"]["reasoning"] or "") == "".join(_reasoning(d) or "" for d in deltas)
        ends = [part["finish_reason"] for part in parts if part.get("finish_reason")]
        assert said["finish_reason"] == (ends[-1] if ends else None)


@every_stream
def test_the_chunks_come_one_for_each_event_and_add_up(exchange: Exchange, replays: Replays):
    chunks = replays.whole(exchange).chunks
    assert len(chunks) == len(_events(exchange))
    text = "".join(
        choice["delta"]["content"] or ""
        for chunk in chunks
        for choice in chunk["choices"]
        if choice["index"] == 0
    )
    first = next((c for c in _answer(replays, exchange)["choices"] if c["index"] == 0), None)
    assert text == ((first["message"]["content"] or "") if first else "")


@every_answer
def test_tool_calls_are_those_that_were_made(exchange: Exchange, replays: Replays):
    for told, said in zip(
        _told_calls(exchange), _answer(replays, exchange)["choices"], strict=True
    ):
        ours = said["message"]["tool_calls"] or []
        assert [call["function"]["name"] for call in ours] == [call["name"] for call in told]
        assert [json.loads(call["function"]["arguments"]) for call in ours] == [
            call["arguments"] for call in told
        ]
        assert [call["id"] for call in ours] == [str(call["id"]) for call in told]
        assert all(call["type"] == "function" for call in ours)


@every_answer
def test_usage_is_what_was_reported_and_never_invented(exchange: Exchange, replays: Replays):
    told = [usage for body in _bodies(exchange) if (usage := _usage(body))]
    outcome = replays.whole(exchange)
    usage = _answer(replays, exchange)["usage"]
    if not told:
        assert usage is None
        assert outcome.receipt is None or outcome.receipt["tokens"]["source"] == "estimated"
        return
    assert {name: usage[name] for name in told[-1]} == told[-1]
    if outcome.receipt is not None:
        assert outcome.receipt["tokens"] == {
            "input": told[-1]["prompt_tokens"],
            "output": told[-1]["completion_tokens"],
            "source": "provider",
        }


@every_answer
def test_no_field_of_the_answer_is_lost(exchange: Exchange, replays: Replays):
    if not exchange.asked_stream:
        assert _lost(_in_our_words(exchange.json), _answer(replays, exchange)) == []
        return
    events = _events(exchange)
    for event, chunk in zip(events, replays.whole(exchange).chunks, strict=True):
        assert _lost(_in_our_words(event), chunk) == []
    names = {name for event in events for name in event if event[name] is not None}
    answer = _answer(replays, exchange)
    assert {name for name in names if answer.get(name) is None} == set()


@every_chat
def test_the_receipt_says_who_answered_and_under_which_id(exchange: Exchange, replays: Replays):
    outcome = replays.whole(exchange)
    facts = outcome.receipt or outcome.error
    assert facts is not None
    ids = [exchange.header[name] for name in REQUEST_ID if name in exchange.header]
    assert facts["request_id"] == (ids[0] if ids else None)
    # the router names the provider; a server given by its address has none to name
    assert facts["provider"] == (exchange.provider if exchange.transport == "router" else None)
    (attempt,) = facts["attempts"]
    assert attempt["status"] == exchange.status
    assert attempt["request_id"] == facts["request_id"]
    assert attempt["provider"] == facts["provider"]
    assert attempt["error"] == (None if outcome.receipt else outcome.kind)
    if outcome.receipt:
        assert facts["model"] == _bodies(exchange)[0]["model"]
        assert facts["has_first_token_time"] is exchange.asked_stream


@every_whole_answer
def test_an_answer_as_json_is_its_dump(exchange: Exchange):
    completion = read_answer(exchange.body)
    assert json.loads(completion.model_dump_json()) == completion.model_dump()


@pytest.mark.parametrize("exchange", BROKEN_OFF, ids=str)
def test_what_came_before_an_error_within_a_stream_was_handed_out(
    exchange: Exchange, replays: Replays
):
    outcome = replays.whole(exchange)
    assert len(outcome.chunks) == len(_events(exchange)) > 0
    told = json.loads(exchange.body.split(b"event: error\ndata: ")[1])["error"]
    assert outcome.error is not None
    assert outcome.error["message"] == told["message"]
    assert outcome.error["status"] == told["status_code"]
    assert outcome.error["code"] == told["code"]
    assert outcome.error["body"] == {"error": told}


@pytest.mark.parametrize("exchange", THINKING, ids=str)
def test_marked_thoughts_are_taken_out_of_the_text_only_when_asked(exchange: Exchange):
    plain, apart = _read(exchange, think_tags=False), _read(exchange, think_tags=True)
    assert plain.text.lstrip().startswith("<think>") or "</think>" in plain.text
    if plain.text.lstrip().startswith("<think>"):
        assert plain.reasoning is None
        thought, _, answer = plain.text.lstrip().removeprefix("<think>").partition("</think>")
        assert (apart.reasoning or "").strip() == thought.strip()
        assert apart.text.strip() == answer.strip()


def _read(exchange: Exchange, *, think_tags: bool) -> Completion:
    if not exchange.asked_stream:
        return read_answer(exchange.body, think_tags=think_tags)
    reader = ChunkReader(think_tags=think_tags)
    for piece in split(exchange.body, random.Random(f"thoughts of {exchange.id}")):
        reader.feed(piece)
    reader.finish()
    assert reader.failure is None
    return reader.fold.completion()


def _answer(replays: Replays, exchange: Exchange) -> dict[str, Any]:
    """Return the completion, whole or as far as it came."""
    outcome: Outcome = replays.whole(exchange)
    if outcome.completion is not None:
        return outcome.completion
    assert outcome.error is not None
    partial: dict[str, Any] = outcome.error["partial"]
    return partial


def _bodies(exchange: Exchange) -> list[dict[str, Any]]:
    return _events(exchange) if exchange.asked_stream else [exchange.json]


def _events(exchange: Exchange) -> list[dict[str, Any]]:
    """Read a stream's chunks in another way than the reader does: event by event, as text."""
    found = []
    for event in re.split(r"\n\n", exchange.body.decode()):
        data = "\n".join(
            line.removeprefix("data:").strip() for line in event.split("\n") if line[:5] == "data:"
        )
        try:
            body = json.loads(data)
        except ValueError:
            continue  # `[DONE]`, nothing, or an event that is listed as an exception
        if "choices" in body:
            found.append(body)
    return found


def _reasoning(message: dict[str, Any]) -> str | None:
    return next((message[name] for name in REASONING if message.get(name)), None)


def _usage(body: dict[str, Any]) -> dict[str, Any] | None:
    aside = (body.get("x_groq") or {}).get("usage")
    told = body.get("usage") or aside
    return {k: v for k, v in told.items() if v is not None} if told else None


def _told_calls(exchange: Exchange) -> list[list[dict[str, Any]]]:
    """Return the tool calls of each choice, their arguments decoded."""
    if exchange.asked_stream:
        return _streamed_calls(_events(exchange))
    return [
        [_told_call(call) for call in choice["message"].get("tool_calls") or []]
        for choice in exchange.json["choices"]
    ]


def _told_call(call: dict[str, Any]) -> dict[str, Any]:
    function = call["function"]
    arguments = function.get("arguments", function.get("parameters"))
    if isinstance(arguments, str):
        arguments = json.loads(arguments)
    return {"id": call["id"], "name": function["name"], "arguments": arguments}


def _streamed_calls(events: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    choices: dict[int, dict[int, dict[str, Any]]] = {}
    for choice in (choice for event in events for choice in event["choices"]):
        calls = choices.setdefault(choice["index"], {})
        for part in (choice.get("delta") or {}).get("tool_calls") or []:
            call = calls.setdefault(part["index"], {"id": "", "name": "", "arguments": ""})
            call["id"] = call["id"] or part.get("id") or ""
            call["name"] = call["name"] or part["function"].get("name") or ""
            call["arguments"] += part["function"].get("arguments") or ""
    return [
        [{**call, "arguments": json.loads(call["arguments"] or "{}")} for call in calls.values()]
        for _, calls in sorted(choices.items())
    ]


def _in_our_words(body: dict[str, Any]) -> dict[str, Any]:
    """Return a raw answer with the few things renamed that have one name and one form here."""
    choices = [_choice_in_our_words(choice) for choice in body["choices"]]
    return {**body, "choices": choices}


def _choice_in_our_words(choice: dict[str, Any]) -> dict[str, Any]:
    place = "message" if "message" in choice else "delta"
    message = dict(choice.get(place) or {})
    if any(name in message for name in REASONING):
        reasoning = _reasoning(message)
        message = {k: v for k, v in message.items() if k not in REASONING}
        message["reasoning"] = reasoning
    calls = message.pop("tool_calls", None) or []  # none and an empty list say the same
    if calls:
        message["tool_calls"] = [_call_in_our_words(call) for call in calls]
    return {**choice, place: message}


def _call_in_our_words(call: dict[str, Any]) -> dict[str, Any]:
    function = dict(call["function"])
    if isinstance(function.get("parameters"), dict) and "arguments" not in function:
        function["arguments"] = function.pop("parameters")
    if isinstance(function.get("arguments"), dict):
        function["arguments"] = json.dumps(function["arguments"], separators=(",", ":"))
    rest = {k: v for k, v in call.items() if k != "index"}  # its place in the list says it
    return {**rest, "id": str(call["id"]), "function": function}


def _lost(raw: Any, ours: Any, path: str = "") -> list[str]:
    """Return the places of `raw` that `ours` lacks or has otherwise."""
    if isinstance(raw, dict) and isinstance(ours, dict):
        return [
            place
            for key, value in raw.items()
            for place in (
                _lost(value, ours[key], f"{path}.{key}") if key in ours else [f"{path}.{key}"]
            )
        ]
    if isinstance(raw, list) and isinstance(ours, list) and len(raw) <= len(ours):
        return [
            place for i, item in enumerate(raw) for place in _lost(item, ours[i], f"{path}[{i}]")
        ]
    return [] if raw == ours else [path]
