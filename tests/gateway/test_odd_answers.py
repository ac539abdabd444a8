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


STREAM: list[dict[str, Any]] = [
    event({"role": "assistant", "content": ""}),
    event({"reasoning_content": "r"}),
    event({"content": "hel"}),
    event({"tool_calls": [{**CALL, "function": {"name": "f", "arguments": "{"}}]}),
    event({"tool_calls": [{"index": 0, "function": {"arguments": "}"}}]}),
    event({}, "tool_calls"),
    {**HEAD, "object": "chat.completion.chunk", "choices": [], "usage": USAGE},
]
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
    "refusal": {
        "error": {"message": "no", "type": "t", "code": "c", "param": "p"},
        "detail": [{"loc": ["body", "a"], "msg": "m"}],
        "message": "x",
    },
}


@cache
def variants(kind: str) -> list[Any]:
    """Return answers with one odd value each; of a stream, lists of events."""
    if kind != "stream":
        whole = WHOLE[kind]
        return [with_another(whole, way, odd) for way in places(whole) for odd in ODD] + [*ODD]
    found: list[Any] = []
    for at, told in enumerate(STREAM):
        changed = [with_another(told, way, odd) for way in places(told) for odd in ODD] + [*ODD]
        found += [[*STREAM[:at], each, *STREAM[at + 1 :]] for each in changed]
    return found


def answer(visit: Visit) -> None:
    """Answer with the variant that the model is named after."""
    while True:
        request = visit.request()
        if request.method == "GET":  # what kind of server it is
            visit.answer(b"{}", 404)
            continue
        kind, _, number = request.json["model"].partition("-")
        told = variants(kind)[int(number)]
        if kind == "stream":
            events = b"".join(b"data: %b\n\n" % json.dumps(each).encode() for each in told)
            visit.send(STREAM_HEAD + chunk(events) + chunk(DONE) + LAST)
        else:
            visit.answer(json.dumps(told).encode(), 400 if kind == "refusal" else 200)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    server = Upstream(answer)
    config = f'default_upstream = "u"\n[upstreams.u]\nbase_url = "{server.url}"\n'
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
CHATS = ["/v1/chat/completions", "/v1/messages", "/v1/responses"]


@pytest.mark.parametrize(
    ("path", "kind"),
    [(path, kind) for kind in ("chat", "stream", "refusal") for path in CHATS]
    + [("/v1/completions", "text"), ("/v1/embeddings", "vectors")]
    + [("/v1/images/generations", kind) for kind in ("picture", "refusal")],
)
def test_whichever_value_of_an_answer_is_odd_the_call_ends(
    gateway: Gateway, path: str, kind: str
) -> None:
    key = gateway.new_key()
    line = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    for number in range(len(variants(kind))):
        body = {**ASKED[path], "model": f"{kind}-{number}", "stream": kind == "stream"}
        if kind != "stream":
            del body["stream"]
        line.request("POST", path, json.dumps(body), headers)
        told = line.getresponse()
        text = told.read().decode()
        assert told.status in ({400} if kind == "refusal" else {200, 502}), (number, text)
        if told.status == 200 and kind == "stream":
            assert any(
                end in text[-3000:] for end in ("[DONE]", "message_stop", "response.", '"error"')
            ), (number, text)
        elif told.status == 200:
            json.loads(text)
    line.close()
    assert "Traceback" not in gateway.log.read_text()
