"""`/v1/responses` and `/v1/messages` in the sandbox: other forms of the same chat."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from samples import b64, data_url, png

from trunkline.sandbox import Reply

LLAMA = "meta-llama/Llama-3.3-70B-Instruct"
OSS = "openai/gpt-oss-120b:groq"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL = {"type": "function", "name": "get_weather", "parameters": SCHEMA}
CLAUDES = {"name": "get_weather", "description": "Weather", "input_schema": SCHEMA}


def said(reply: Reply) -> Any:
    assert reply.status == 200, reply.body
    return msgspec.json.decode(reply.body)


def chatted(asker: Any, text: str = "Hello") -> str:
    """What a chat says to the same words; only its mark may differ."""
    answer: str = said(asker.chat(LLAMA, text))["choices"][0]["message"]["content"]
    return answer


@pytest.fixture
def respond(asker: Any) -> Any:
    """Ask for a response."""
    return lambda **body: asker.post("/v1/responses", {"model": LLAMA, "input": "Hello", **body})


@pytest.fixture
def message(asker: Any) -> Any:
    """Ask for a message."""
    usual = {"model": LLAMA, "max_tokens": 500, "messages": [{"role": "user", "content": "Hello"}]}
    return lambda **body: asker.post("/v1/messages", {**usual, **body})


def events_of(reply: Reply) -> list[Any]:
    return [json.loads(step.partition(b"data: ")[2]) for step in reply.steps]


# responses


def test_a_response_says_what_a_chat_says(asker, respond) -> None:
    found = said(respond())
    (item,) = found["output"]
    assert item["content"][0]["text"] == chatted(asker)
    assert (found["object"], found["status"], found["model"]) == ("response", "completed", LLAMA)
    usage = found["usage"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]


def test_a_streams_events_come_in_their_order_and_spell_out_the_response(respond) -> None:
    whole = said(respond())
    reply = respond(stream=True)
    assert dict(reply.headers)["content-type"] == "text/event-stream"
    events = events_of(reply)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    kinds = [event["type"].removeprefix("response.") for event in events]
    deltas = kinds.count("output_text.delta")
    assert deltas > 3
    assert kinds == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        *["output_text.delta"] * deltas,
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    text = "".join(e["delta"] for e in events if e["type"].endswith("text.delta"))
    assert text == whole["output"][0]["content"][0]["text"]
    assert events[-1]["response"] == whole
    assert events[0]["response"]["output"] == []


def test_a_response_calls_tools_and_takes_their_results(respond) -> None:
    given = {"tools": [TOOL], "tool_choice": "required", "input": "Weather in Paris?"}
    (call,) = said(respond(**given))["output"]
    assert (call["type"], call["name"]) == ("function_call", "get_weather")
    assert json.loads(call["arguments"]) == {"city": "Paris"}
    streamed = events_of(respond(stream=True, **given))
    parts = [e["delta"] for e in streamed if e["type"] == "response.function_call_arguments.delta"]
    assert "".join(parts) == call["arguments"]
    told = [
        {"role": "user", "content": "Weather in Paris?"},
        call,
        {"type": "function_call_output", "call_id": call["call_id"], "output": "18 degrees"},
    ]
    (last,) = said(respond(input=told, tools=[TOOL]))["output"]
    assert "get_weather answered: 18 degrees." in last["content"][0]["text"]
    named = {"type": "function", "name": "get_weather"}
    assert said(respond(tools=[TOOL], tool_choice=named))["output"][0]["type"] == "function_call"


def test_a_response_sees_thinks_keeps_to_schemas_and_to_limits(respond) -> None:
    parts = [
        {"type": "input_text", "text": "Look"},
        {"type": "input_image", "image_url": data_url(png())},
    ]
    seen = said(respond(input=[{"role": "user", "content": parts}]))["output"][0]
    assert "1 image: image/png" in seen["content"][0]["text"]
    thought, answer = said(respond(reasoning={"effort": "low"}))["output"]
    assert (thought["type"], answer["type"]) == ("reasoning", "message")
    kinds = [e["type"] for e in events_of(respond(reasoning={"effort": "low"}, stream=True))]
    assert "response.reasoning_text.delta" in kinds
    form = {"type": "json_schema", "name": "place", "schema": SCHEMA}
    shaped = said(respond(text={"format": form}))["output"][0]["content"][0]["text"]
    assert set(json.loads(shaped)) == {"city"}
    free = said(respond(text={"format": {"type": "json_object"}}))["output"][0]["content"][0]
    assert json.loads(free["text"])["simulated"] is True
    cut = said(respond(max_output_tokens=3))
    assert (cut["status"], cut["usage"]["output_tokens"]) == ("incomplete", 3)
    assert cut["incomplete_details"] == {"reason": "max_output_tokens"}
    assert events_of(respond(max_output_tokens=3, stream=True))[-1]["type"] == "response.incomplete"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"input": None}, "input"),
        ({"input": [{"type": "computer_call"}]}, "input[0]"),
        ({"input": [{"role": "user", "content": [{"type": "x"}]}]}, "input[0].content[0].type"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"tools": [{"type": "mcp"}]}, "tools[0]"),
        ({"temperature": "hot"}, "temperature"),
        ({"model": "no/such"}, "model"),
    ],
)
def test_what_is_no_request_for_a_response_is_refused(
    respond, body: dict[str, Any], param: str
) -> None:
    refused = respond(**body)
    assert refused.status == 400
    assert msgspec.json.decode(refused.body)["error"]["param"] == param


def test_a_response_needs_a_token_and_a_model_that_somebody_serves(asker) -> None:
    body = {"model": LLAMA, "input": "Hello"}
    bare = asker.post("/v1/responses", body, authorization="")
    assert (bare.status, bare.body) == (401, b'{"success":false,"error":"Unauthorized"}')
    assert asker.post("/v1/responses", body, authorization="Bearer hf_nocredits").status == 402
    nobody = asker.post("/v1/responses", {**body, "model": "no/such"})
    assert b"is not supported by any provider you have enabled" in nobody.body


# messages


def test_a_message_says_what_a_chat_says(asker, message) -> None:
    found = said(message())
    (block,) = found["content"]
    assert block["text"].startswith('[simulated] You said: "Hello"')
    assert (found["type"], found["role"], found["stop_reason"]) == (
        "message",
        "assistant",
        "end_turn",
    )
    assert found["usage"]["output_tokens"] > 3
    assert chatted(asker).startswith('[simulated] You said: "Hello"')


def test_a_messages_events_are_named_and_spell_it_out(message) -> None:
    whole = said(message())
    reply = message(stream=True)
    events = events_of(reply)
    for step, event in zip(reply.steps, events, strict=True):
        assert step.startswith(b"event: %s\ndata: {" % event["type"].encode())
    kinds = [event["type"] for event in events]
    deltas = kinds.count("content_block_delta")
    assert kinds == [
        "message_start",
        "ping",
        "content_block_start",
        *["content_block_delta"] * deltas,
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    text = "".join(e["delta"]["text"] for e in events if e["type"] == "content_block_delta")
    assert text == whole["content"][0]["text"]
    assert events[0]["message"]["usage"]["input_tokens"] == whole["usage"]["input_tokens"]
    last = events[-2]
    assert last["delta"]["stop_reason"] == "end_turn"
    assert last["usage"]["output_tokens"] == whole["usage"]["output_tokens"]


def test_a_message_uses_tools_and_takes_their_results(message) -> None:
    asked = {"role": "user", "content": "Weather in Paris?"}
    given = {"messages": [asked], "tools": [CLAUDES], "tool_choice": {"type": "any"}}
    found = said(message(**given))
    (used,) = found["content"]
    assert found["stop_reason"] == "tool_use"
    assert (used["type"], used["name"], used["input"]) == (
        "tool_use",
        "get_weather",
        {"city": "Paris"},
    )
    streamed = events_of(message(stream=True, **given))
    parts = [e["delta"]["partial_json"] for e in streamed if e["type"] == "content_block_delta"]
    assert json.loads("".join(parts)) == {"city": "Paris"}
    result = {"type": "tool_result", "tool_use_id": used["id"], "content": "18 degrees"}
    told = [
        asked,
        {"role": "assistant", "content": [used]},
        {"role": "user", "content": [result]},
    ]
    (last,) = said(message(messages=told, tools=[CLAUDES]))["content"]
    assert "get_weather answered: 18 degrees." in last["text"]
    named = {"type": "tool", "name": "get_weather"}
    assert said(message(tools=[CLAUDES], tool_choice=named))["stop_reason"] == "tool_use"
    quiet = said(message(tools=[CLAUDES], tool_choice={"type": "none"}))
    assert quiet["stop_reason"] == "end_turn"


def test_a_message_sees_thinks_and_stops_where_it_is_told(message) -> None:
    source = {"type": "base64", "media_type": "image/png", "data": b64(png())}
    blocks = [{"type": "text", "text": "Look"}, {"type": "image", "source": source}]
    seen = said(message(messages=[{"role": "user", "content": blocks}]))
    assert "1 image: image/png" in seen["content"][0]["text"]
    by_url = {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}}
    linked = said(message(messages=[{"role": "user", "content": [by_url]}]))
    assert "one from example.org" in linked["content"][0]["text"]
    thought, _ = said(message(thinking={"type": "enabled", "budget_tokens": 1024}))["content"]
    assert thought["type"] == "thinking"
    assert said(message(max_tokens=2))["stop_reason"] == "max_tokens"
    stopped = said(message(stop_sequences=["said"]))
    assert (stopped["stop_reason"], stopped["stop_sequence"]) == ("stop_sequence", "said")
    ruled = said(message(system=[{"type": "text", "text": "Be brief."}]))
    assert ruled["usage"]["input_tokens"] > said(message())["usage"]["input_tokens"]


@pytest.mark.parametrize(
    "body",
    [
        {"max_tokens": None},
        {"messages": []},
        {"messages": [{"role": "tool", "content": "x"}]},
        {"messages": [{"role": "user", "content": 3}]},
        {"messages": [{"role": "user", "content": [{"type": "video"}]}]},
        {"tools": [{"name": "x"}]},
        {"tools": [CLAUDES], "tool_choice": "any"},
    ],
)
def test_what_is_no_request_for_a_message_is_refused(message, body: dict[str, Any]) -> None:
    refused = message(**body)
    assert refused.status == 400
    assert msgspec.json.decode(refused.body)["type"] == "error"


def test_a_message_is_refused_as_a_chat_is(asker, message) -> None:
    body = {"model": LLAMA, "max_tokens": 5, "messages": [{"role": "user", "content": "x"}]}
    assert asker.post("/v1/messages", body, authorization="").status == 401
    nobody = message(model="no/such")
    assert b"is not supported by any provider you have enabled" in nobody.body
    tools = {"tools": [CLAUDES], "model": f"{LLAMA}:nscale"}
    assert b"UNSUPPORTED_OPENAI_PARAMS" in message(**tools).body


@pytest.mark.parametrize("route", ["/v1/responses", "/v1/messages"])
@pytest.mark.parametrize(
    "fault", ["truncated", "cut", "usage-negative", "tools-in-turn", "json-200"]
)
def test_faults_of_streams_do_not_trip_over_other_forms(asker, route: str, fault: str) -> None:
    body = {"model": f"org/fault-{fault}", "stream": True}
    said = {"messages": [{"role": "user", "content": "x"}], "max_tokens": 50}
    spoken = said if route == "/v1/messages" else {"input": "x", "max_output_tokens": 50}
    good = asker.post(route, {**body, **spoken, "model": LLAMA})
    bad = asker.post(route, {**body, **spoken})
    assert bad.status == 200
    if fault in ("truncated", "cut"):
        assert 0 < len(bad.body) < len(good.body)
