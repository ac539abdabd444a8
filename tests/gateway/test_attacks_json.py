"""Bodies made to be read in two ways, to choose where a call goes, or to cost more than is held."""

from __future__ import annotations

import json
from typing import Any

import pytest
from raw import Answer, Wire, ask, chat, post
from running import CHAT, Gateway

from trunkline.sandbox.server import SandboxServer

MODEL: str = CHAT["model"]  # type: ignore[assignment]


@pytest.fixture(scope="module")
def key(gateway: Gateway) -> str:
    return gateway.new_key()


@pytest.fixture
def refuses(gateway: Gateway, key: str, sandbox_server: SandboxServer) -> Any:
    """Send a body that must be refused; nothing may reach the upstream, and the connection lives."""

    def refuse(body: Any, *, path: str = "/v1/chat/completions", status: int = 400) -> Answer:
        before = len(sandbox_server.requests)
        with Wire(gateway) as wire:
            answer = wire.ask(post(body, key, path=path))
            assert answer.status == status, answer
            assert answer.error["type"]
            assert wire.lives()
        assert len(sandbox_server.requests) == before
        return answer

    return refuse


def with_text(text: bytes) -> bytes:
    """A chat whose message is this JSON text."""
    return b'{"model":"%b","messages":[{"role":"user","content":%b}]}' % (MODEL.encode(), text)


def with_value(value: bytes) -> bytes:
    """A chat with a field of this JSON value."""
    return b'{"model":"%b","messages":[{"role":"user","content":"a"}],"x":%b}' % (
        MODEL.encode(),
        value,
    )


WHOLE = with_text(b'"a"')
NO_JSON = {
    "nothing": b"",
    "no JSON": b"hello",
    "cut": WHOLE[:-1],
    "two values": WHOLE + WHOLE,
    "rubbish behind": WHOLE + b"x",
    "a comment": b"/* */" + WHOLE,
    "a comma too many": WHOLE[:-1] + b",}",
    "single quotes": WHOLE.replace(b'"', b"'"),
    "NaN": with_value(b"NaN"),
    "Infinity": with_value(b"Infinity"),
    "minus Infinity": with_value(b"-Infinity"),
    "1e400": with_value(b"1e400"),
    "minus 1e400": with_value(b"-1e400"),
    "a leading zero": with_value(b"01"),
    "a plus": with_value(b"+1"),
    "hex": with_value(b"0x10"),
    "a lone high surrogate": with_text(rb'"\ud800"'),
    "a lone low surrogate": with_text(rb'"\udc00"'),
    "surrogates the wrong way round": with_text(rb'"\udc00\ud800"'),
    "a control character": with_text(b'"a\x01b"'),
    "a raw line end": with_text(b'"a\nb"'),
    "NUL": with_text(b'"a\0b"'),
    "a byte order mark": b"\xef\xbb\xbf" + WHOLE,
    "UTF-16": WHOLE.decode().encode("utf-16"),
    "UTF-16 without a mark": WHOLE.decode().encode("utf-16-le"),
    "UTF-32": WHOLE.decode().encode("utf-32"),
    "UTF-7": with_text(b'"a"').replace(b'"', b"+ACI-"),
    "invalid UTF-8": with_text(b'"a\xffb"'),
    "overlong UTF-8": with_text(b'"a\xc0\xafb"'),
    "an encoded surrogate": with_text(b'"a\xed\xa0\x80b"'),
    "beyond Unicode": with_text(b'"a\xf4\x90\x80\x80b"'),
    "cut UTF-8": with_text(b'"a\xe2\x82"'),
    "the same key twice": WHOLE[:-1] + b',"model":"other"}',
    "the same key escaped": WHOLE[:-1] + rb',"\u006dodel":"other"}',
    "the same key deep down": with_value(b'[{"a":{"b":1,"b":2}}]'),
    "the same key in a message": with_text(b'"a","role":"system"'),
    "129 lists": with_value(b"[" * 129 + b"]" * 129),
    "129 objects": with_value(b'{"a":' * 129 + b"1" + b"}" * 129),
    "100,000 lists": with_value(b"[" * 100_000 + b"]" * 100_000),
    "100,000 objects": with_value(b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "100,000 open lists": b"[" * 100_000,
}


@pytest.mark.parametrize("body", NO_JSON.values(), ids=NO_JSON)
def test_what_is_no_strict_json_is_refused(refuses: Any, body: bytes) -> None:
    assert refuses(body).error["code"] == "invalid_json"


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (with_text(b'"a\xffb"'), WHOLE.index(b'"a"') + 2),
        (b"\xff" + WHOLE, 0),
        (with_text('"héé'.encode() + b'\xc3("'), len(with_text('"héé'.encode())) - 3),
    ],
)
def test_bytes_that_are_no_utf8_are_told_with_their_place(
    refuses: Any, body: bytes, place: int
) -> None:
    assert f"byte {place} " in refuses(body).error["message"]


@pytest.mark.parametrize("body", [b"[]", b'"text"', b"1", b"null", b"true"])
def test_json_that_is_no_object_is_refused(refuses: Any, body: bytes) -> None:
    assert "object" in refuses(body).error["message"]


WRONG: list[tuple[str, Any]] = [
    ("model", None), ("model", 1), ("model", ""), ("model", ["a"]), ("model", {"a": 1}),
    ("messages", None), ("messages", []), ("messages", "hello"), ("messages", {"a": 1}),
    ("stream", "true"), ("stream", "false"), ("stream", 1), ("stream", 0), ("stream", []),
    ("stream", {}), ("stream", ""), ("stream", 1.0),
    ("n", 0), ("n", -1), ("n", 129), ("n", "1"), ("n", 1.0), ("n", 1.5), ("n", True), ("n", [1]),
    ("n", 10**30), ("best_of", 0), ("best_of", 129),
    ("max_tokens", -1), ("max_tokens", "5"), ("max_tokens", True), ("max_tokens", 5.0),
    ("max_tokens", 1.5), ("max_tokens", [5]), ("max_tokens", 1 << 32), ("max_tokens", 10**400),
    ("max_completion_tokens", 0), ("max_completion_tokens", -1),
    ("max_completion_tokens", False), ("max_completion_tokens", 1 << 63),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_field_that_decides_the_cost_is_of_its_kind_and_within_bounds(
    refuses: Any, name: str, value: Any
) -> None:
    body = {**chat(), name: value}
    answer = refuses(json.dumps(body).encode())
    assert answer.error["param"] == name, answer
    assert answer.error["type"] == "invalid_request_error"


def test_options_of_a_stream_are_an_object(refuses: Any) -> None:
    for value in ("x", 1, [], True):
        body = {**chat(stream=True), "stream_options": value}
        assert refuses(body).error["param"] == "stream_options"


ADDRESSES = (
    "api_base", "base_url", "custom_host", "endpoint_url", "proxy", "proxies", "api_key", "token",
    "hf_token", "api_version", "bill_to", "headers", "extra_headers", "custom_llm_provider",
    "user_config",
)  # fmt: skip


@pytest.mark.parametrize("name", ADDRESSES)
@pytest.mark.parametrize("streamed", [False, True])
def test_no_field_chooses_where_a_call_goes_or_on_whose_account(
    refuses: Any, name: str, streamed: bool
) -> None:
    for value in ("http://127.0.0.1:1/v1", None, {"a": "b"}, ""):
        answer = refuses({**chat(stream=streamed), name: value})
        assert (answer.error["code"], answer.error["param"]) == ("parameter_not_allowed", name)
        assert "127.0.0.1" not in answer.body.decode()
    answer = refuses({**chat(), "extra_body": {name: "http://127.0.0.1:1/v1"}})
    assert answer.error["code"] == "parameter_not_allowed"


@pytest.mark.parametrize("path", ["/v1/completions", "/v1/embeddings"])
def test_the_other_calls_are_held_to_it_too(refuses: Any, path: str) -> None:
    body = {"model": MODEL, "prompt": "a", "input": "a", "api_base": "http://127.0.0.1:1/v1"}
    assert refuses(body, path=path).error["param"] == "api_base"


def test_headers_choose_nothing_and_do_not_go_on(
    gateway: Gateway, key: str, sandbox_server: SandboxServer
) -> None:
    lines = [
        "x-hf-bill-to: other",
        "cookie: a=b",
        "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "x-api-base: http://127.0.0.1:1",
        "api-base: http://127.0.0.1:1",
        "x-forwarded-for: 1.2.3.4",
        "proxy-authorization: Basic a",
        "te: trailers",
        "x-sandbox-fault: 500",
        "user-agent: me",
        "openai-organization: org",
    ]
    assert ask(gateway, post(chat(), key, *lines)).status == 200
    seen = sandbox_server.requests[-1]
    assert seen.headers.keys() <= {
        "accept", "accept-encoding", "authorization", "content-length", "content-type", "host",
        "user-agent",
    }  # fmt: skip
    assert key not in seen.headers.get("authorization", "")
    assert seen.headers["accept-encoding"] == "identity"
    assert not seen.headers["user-agent"].startswith("me")


@pytest.mark.parametrize(
    "model",
    [
        "http://127.0.0.1:1/v1", "//127.0.0.1:1/x", "openai/gpt@http://127.0.0.1:1",
        "../../admin/keys", "a/b\r\nx: y", "a/b\0", "{{7*7}}/x", "a" * 100_000, "a/b:c:d:e",
        "%2e%2e/x", "org/model?api_base=x", "org/model#x", "<script>/x", "' OR 1=1 --/x",
        "sandbox/x", "huggingface/groq/a/b", "endpoint/x", "hf/", "/", ":", "org/model:\u202eevil",
    ],
)  # fmt: skip
def test_a_model_that_is_no_name_is_refused_without_a_call(
    gateway: Gateway, key: str, sandbox_server: SandboxServer, model: str
) -> None:
    before = len(sandbox_server.requests)
    answer = ask(gateway, post(chat(model=model), key))
    assert answer.status in (400, 404), answer
    assert answer.error["param"] == "model"
    assert len(answer.body) < 2000
    calls = list(sandbox_server.requests)[before:]
    assert not [seen for seen in calls if seen.path == "/v1/chat/completions"]


EXACT = {
    "a large whole number": b"9007199254740993",
    "a larger one": b"18446744073709551617",
    "a huge one": b"1" * 300,
    "a long fraction": b"0.1234567890123456789012345",
    "an exponent": b"1.50E+2",
    "minus zero": b"-0",
    "minus zero, with a point": b"-0.0",
    "escapes": rb'"\u0041\/\u00e9\ud83d\ude00"',
    "a separator": '"a\u2028b"'.encode(),
    "an object in its order": b'{"z":1,"a":[ 1 , 2 ],"":null}',
    "128 deep": b"[" * 126 + b"]" * 126,
}


@pytest.mark.parametrize("value", EXACT.values(), ids=EXACT)
def test_what_nobody_here_knows_goes_on_byte_by_byte(
    gateway: Gateway, key: str, sandbox_server: SandboxServer, value: bytes
) -> None:
    for stream in (b"", b',"stream":true'):
        body = with_value(value)[:-1] + stream + b"}"
        answer = ask(gateway, post(body, key))
        assert answer.status == 200, answer
        assert b'"x":' + value in sandbox_server.requests[-1].body


def test_a_body_goes_on_as_it_came_but_for_what_had_to_be_changed(
    gateway: Gateway, key: str, sandbox_server: SandboxServer
) -> None:
    body = json.dumps(
        {"x-new": {"a": [1, None]}, **chat(temperature=0.70), "seed": 2**60}, indent=1
    ).encode()
    assert ask(gateway, post(body, key)).status == 200
    assert sandbox_server.requests[-1].body == body
    streamed = body[:-2] + b',\n "stream": true\n}'
    assert ask(gateway, post(streamed, key)).status == 200
    sent = sandbox_server.requests[-1]
    assert sent.json.pop("stream_options") == {"include_usage": True}
    assert sent.body.startswith(body[:-2])


def test_prompts_are_text_whatever_they_say(
    gateway: Gateway, key: str, sandbox_server: SandboxServer
) -> None:
    for text in ("{{7*7}}", "${7*7}", "{% raw %}", "__import__('os')", "\x1b[31m", "'; DROP TABLE"):
        body = chat(messages=[{"role": "user", "content": text}], user=text)
        assert ask(gateway, post(body, key)).status == 200
        assert sandbox_server.requests[-1].json["messages"][0]["content"] == text
        assert sandbox_server.requests[-1].json["user"] == text


def test_the_same_body_under_another_type_is_the_same_body(gateway: Gateway, key: str) -> None:
    for kind in ("text/plain", "application/json; charset=utf-16", "multipart/form-data"):
        data = post(chat(), key).replace(
            b"content-type: application/json", f"content-type: {kind}".encode()
        )
        assert ask(gateway, data).status == 200


def test_forms_are_no_json(refuses: Any) -> None:
    boundary = b"-" * 65_000
    for body in (
        b"model=a&messages=b",
        b"--" + boundary + b'\r\ncontent-disposition: form-data; name="model"\r\n\r\na\r\n',
        b"&".join(b"a%d=b" % number for number in range(100_000)),
    ):
        assert refuses(body).error["code"] == "invalid_json"
