"""Answers of an upstream in which any one value is another than it should be: each is handed on or refused, at once."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from odd_values import ODD, places, with_another
from routes_side import CHAT
from running import Gateway, running

from loopback import DONE, LAST, STREAM_HEAD, Upstream, Visit, chunk

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

CALL = {"id": "c1", "type": "function", "index": 0, "function": {"name": "f", "arguments": "{}"}}
TOKEN = {"token": "a", "logprob": -1.0, "bytes": [1], "top_logprobs": [{"token": "b"}]}
MESSAGE = {
    "role": "assistant",
    "content": "hello",
    "reasoning_content": "r",
    "refusal": None,
    "tool_calls": [CALL],
}
USAGE: dict[str, Any] = {
    "prompt_tokens": 5,
    "completion_tokens": 3,
    "total_tokens": 8,
    "prompt_tokens_details": {"cached_tokens": 1},
    "completion_tokens_details": {"reasoning_tokens": 1},
}
HEAD = {"id": "c", "created": 1, "model": "m"}
COMPLETION: dict[str, Any] = {
    **HEAD,
    "object": "chat.completion",
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "message": MESSAGE,
            "logprobs": {"content": [TOKEN]},
        }
    ],
    "usage": USAGE,
}


def event(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
    return {**HEAD, "object": "chat.completion.chunk", "choices": [choice]}


CHUNKS: list[dict[str, Any]] = [
    event({"role": "assistant", "content": ""}),
    event({"reasoning_content": "r"}),
    event({"content": "hel"}),
    event({"tool_calls": [{**CALL, "function": {"name": "f", "arguments": "{"}}]}),
    event({"tool_calls": [{"index": 0, "function": {"arguments": "}"}}]}),
    event({}, "tool_calls"),
    {**HEAD, "object": "chat.completion.chunk", "choices": [], "usage": USAGE},
]
COUNTED = {"input_tokens": 5, "output_tokens": 3, "cache_read_input_tokens": 1}
CREATED: dict[str, Any] = {
    "id": "m",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [],
    "stop_reason": None,
    "stop_sequence": None,
    "usage": COUNTED,
}
BLOCKS: list[dict[str, Any]] = [
    {"type": "thinking", "thinking": "t", "signature": "s"},
    {"type": "text", "text": "hello"},
    {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}},
]
DELTAS: list[dict[str, Any]] = [
    {"type": "thinking_delta", "thinking": "t"},
    {"type": "text_delta", "text": "hello"},
    {"type": "input_json_delta", "partial_json": "{}"},
]
MESSAGE_EVENTS: list[dict[str, Any]] = [
    {"type": "message_start", "message": CREATED},
    *(
        event
        for at, (block, delta) in enumerate(zip(BLOCKS, DELTAS, strict=True))
        for event in (
            {"type": "content_block_start", "index": at, "content_block": block},
            {"type": "content_block_delta", "index": at, "delta": delta},
            {"type": "content_block_stop", "index": at},
        )
    ),
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": COUNTED},
    {"type": "message_stop"},
]
TOLD = {"type": "output_text", "text": "hello", "annotations": [], "logprobs": []}
ITEM = {"id": "i", "type": "message", "role": "assistant", "status": "completed", "content": [TOLD]}
ENDED: dict[str, Any] = {
    "id": "r",
    "object": "response",
    "status": "completed",
    "model": "m",
    "error": None,
    "output": [ITEM, {"id": "f", "type": "function_call", "call_id": "c", "name": "f"}],
    "usage": {
        "input_tokens": 5,
        "output_tokens": 3,
        "total_tokens": 8,
        "output_tokens_details": {"reasoning_tokens": 1},
    },
    "incomplete_details": None,
}
BEGUN = {**ENDED, "status": "in_progress", "output": [], "usage": None}
PLACE = {"item_id": "i", "output_index": 0, "content_index": 0}
RESPONSE_EVENTS: list[dict[str, Any]] = [
    {"sequence_number": at, **told}
    for at, told in enumerate(
        [
            {"type": "response.created", "response": BEGUN},
            {"type": "response.output_item.added", "output_index": 0, "item": ITEM},
            {"type": "response.content_part.added", **PLACE, "part": TOLD},
            {"type": "response.output_text.delta", **PLACE, "delta": "hello"},
            {"type": "response.output_text.done", **PLACE, "text": "hello"},
            {"type": "response.content_part.done", **PLACE, "part": TOLD},
            {"type": "response.output_item.done", "output_index": 0, "item": ITEM},
            {"type": "response.completed", "response": ENDED},
        ]
    )
]
STREAMS = {"chunks": CHUNKS, "messages": MESSAGE_EVENTS, "responses": RESPONSE_EVENTS}
TEXT = {"index": 0, "text": "hi", "finish_reason": "stop", "logprobs": None}
WHOLE: dict[str, dict[str, Any]] = {
    "chat": COMPLETION,
    "text": {**HEAD, "object": "text_completion", "choices": [TEXT], "usage": USAGE},
    "vectors": {
        "object": "list",
        "model": "m",
        "usage": {"prompt_tokens": 5, "total_tokens": 5},
        "data": [{"object": "embedding", "index": 0, "embedding": [0.1, 0.2]}],
    },
    "picture": {
        "created": 1,
        "data": [{"b64_json": "iVBORw0KGgo=", "revised_prompt": "x", "url": None}],
        "usage": {"total_tokens": 1, "input_tokens": 1, "output_tokens": 1},
    },
    "message": {**CREATED, "content": BLOCKS, "stop_reason": "end_turn"},
    "response": ENDED,
    "refusal": {
        "error": {"message": "no", "type": "t", "code": "c", "param": "p"},
        "detail": [{"loc": ["body", "a"], "msg": "m"}],
        "message": "x",
    },
}


@cache
def variants(kind: str) -> list[Any]:
    """Return answers with one odd value each; of a stream, lists of events."""
    if kind in WHOLE:
        return with_odd_ones(WHOLE[kind])
    stream = STREAMS[kind]
    return [
        [*stream[:at], each, *stream[at + 1 :]]
        for at, told in enumerate(stream)
        for each in with_odd_ones(told)
    ]


def with_odd_ones(told: dict[str, Any]) -> list[Any]:
    return [with_another(told, way, odd) for way in places(told) for odd in ODD] + [*ODD]


def sse(told: Any) -> bytes:
    """Return an event, named as its type says where it has one."""
    kind = told.get("type") if isinstance(told, dict) else None
    name = b"event: %b\n" % kind.encode() if isinstance(kind, str) and kind.isprintable() else b""
    return b"%bdata: %b\n\n" % (name, json.dumps(told).encode())


def answer(visit: Visit) -> None:
    """Answer with the variant that the model is named after."""
    while True:
        request = visit.request()
        if request.method == "GET":  # what kind of server it is
            visit.answer(b"{}", 404)
            continue
        kind, _, number = request.json["model"].partition("-")
        told = variants(kind)[int(number)]
        if kind in STREAMS:
            done = chunk(DONE) if kind == "chunks" else b""
            visit.send(STREAM_HEAD + chunk(b"".join(map(sse, told))) + done + LAST)
        else:
            visit.answer(json.dumps(told).encode(), 400 if kind == "refusal" else 200)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    server = Upstream(answer)
    config = 'default_upstream = "u"\n'
    for name, more in (("u", ""), ("n", 'speaks = ["chat", "messages", "responses"]\n')):
        config += f'[upstreams.{name}]\nbase_url = "{server.url}"\n{more}'
        config += 'prices."*" = { input = 1, output = 2, context = 1000 }\n'
    folder: Path = tmp_path_factory.mktemp("odd")
    with running(folder, config) as started:
        yield started
    server.close()


ASKED = {
    "/v1/chat/completions": CHAT,
    "/v1/messages": CHAT,
    "/v1/responses": {"input": "a"},
    "/v1/completions": {"prompt": "a"},
    "/v1/embeddings": {"input": "a"},
    "/v1/images/generations": {"prompt": "a"},
}
ENDS = {
    "/v1/chat/completions": ("[DONE]", '"error":{'),
    "/v1/messages": ('"message_stop"', "event: error"),
    "/v1/responses": (
        "response.completed",
        "response.incomplete",
        "response.failed",
        "event: error",
    ),
}
"""Of streams, the last events, one of which every stream has."""
CHATS = ["/v1/chat/completions", "/v1/messages", "/v1/responses"]


@pytest.mark.parametrize(
    ("path", "kind"),
    [(path, kind) for kind in ("chat", "chunks", "refusal") for path in CHATS]
    + [("/v1/messages", kind) for kind in ("message", "messages")]
    + [("/v1/responses", kind) for kind in ("response", "responses")]
    + [("/v1/completions", "text"), ("/v1/embeddings", "vectors")]
    + [("/v1/images/generations", kind) for kind in ("picture", "refusal")],
)
def test_whichever_value_of_an_answer_is_odd_the_call_ends(
    gateway: Gateway, path: str, kind: str
) -> None:
    key = gateway.new_key()
    line = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)
    upstream = "n/" if kind.rstrip("s") in path and kind != "chunks" else ""
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    for number in range(len(variants(kind))):
        body = {**ASKED[path], "model": f"{upstream}{kind}-{number}"}
        if kind in STREAMS:
            body["stream"] = True
        line.request("POST", path, json.dumps(body), headers)
        told = line.getresponse()
        text = told.read().decode()
        assert told.status in ({400} if kind == "refusal" else {200, 500, 502}), (number, text)
        if told.status == 200 and kind in STREAMS:
            assert any(end in text[-5000:] for end in ENDS[path]), (number, text)
        elif told.status == 200:
            json.loads(text)
    line.close()
    assert "Traceback" not in gateway.log.read_text()
