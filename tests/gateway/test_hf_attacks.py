"""What tries to get through `/hf` to somewhere else, over raw sockets: nothing of it reaches the router."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hf_front import TOKEN, Front, front
from raw import Answer, Wire, ask, chunks, get, head, post
from test_hf_routes import BAD_PATHS

from loopback import Request, Visit, whole
from trunkline.types.secret_shapes import Secrets

CHAT = {"model": "llama-3.3-70b-versatile", "messages": [{"role": "user", "content": "Hi"}]}
GROQ = "/hf/groq/openai/v1/chat/completions"


def hostile(visit: Visit, request: Request) -> None:
    """Answer as a router would that means no good, where the path asks for that."""
    case = request.target.rpartition("/")[2]
    if case == "headers":
        lines = [
            "HTTP/1.1 200 OK", "content-type: text/plain", "set-cookie: a=b", "x-evil: 1",
            "server: x", "access-control-allow-origin: *", "www-authenticate: Basic",
            "strict-transport-security: max-age=1", "retry-after: 13", "content-length: 2", "", "ok",
        ]  # fmt: skip
        visit.send("\r\n".join(lines).encode())
    elif case == "echo":
        told = json.dumps({"error": f"bad token {request.headers['authorization']}"})
        visit.send(whole(told.encode(), 400))
    elif case.startswith("moved"):
        visit.send(whole(b"", 302, location=MOVED[case]))
    else:
        visit.send(whole(b'{"ok":true}'))


MOVED = {
    "moved-1": "http://evil.example/x",
    "moved-2": "//evil.example/x",
    "moved-3": "/v1/../x//y",
    "moved-4": "https://router.huggingface.co.evil.example/groq",
    "moved-5": "elsewhere",
    "moved-6": "http://[::1",
}


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    with front(tmp_path_factory.mktemp("attacks"), hostile) as started:
        yield started


@pytest.fixture(scope="module")
def key(there: Front) -> str:
    return there.gateway.new_key()


def refused(answer: Answer, *statuses: int) -> Any:
    """Assert that an answer is a refusal that says why; returns its code."""
    assert answer.status in statuses, answer
    error = answer.json["error"]
    return error["code"] if isinstance(error, dict) else answer.json["code"]


@pytest.mark.parametrize("path", [p for p in BAD_PATHS if " " not in p and "\n" not in p])
def test_a_path_that_leads_out_of_its_provider_is_refused(
    there: Front, key: str, path: str
) -> None:
    before = len(there.seen)
    answer = ask(there.gateway, post(CHAT, key, path=path))
    assert refused(answer, 400) in ("bad_path", "bad_http")
    assert len(there.seen) == before


@pytest.mark.parametrize("path", [
    "/HF/groq/openai/v1/chat/completions",
    "/%68f/groq/openai/v1/chat/completions",
    "/hf/GROQ/openai/v1/chat/completions",
    "/hf/gr%6fq/openai/v1/chat/completions",
    "/hf/openai/v1/chat/completions",
    "/hf/nvidia/v1/chat/completions",
    "/hf/v1/fine-tunes",
    "/hf/api/models/a/b",
    "/hf/../v1/chat/completions",
    "/hf",
    "/hf/",
    "/hfgroq/x",
])  # fmt: skip
def test_a_path_that_only_looks_like_one_is_none(there: Front, key: str, path: str) -> None:
    before = len(there.seen)
    assert refused(ask(there.gateway, post(CHAT, key, path=path)), 400, 404, 405)
    assert len(there.seen) == before


def test_an_absolute_target_is_no_path(there: Front, key: str) -> None:
    before = len(there.seen)
    for target in ("http://evil.example/hf/groq/x", "evil.example:80", "*", "//evil.example/hf/x"):
        answer = ask(there.gateway, post(CHAT, key, path=target))
        assert answer.status in (400, 404)
    assert len(there.seen) == before


@pytest.mark.parametrize("line", [
    "content-type: text/plain",  # beside the one that is there
    "authorization: Bearer hf_mine",
    "transfer-encoding: chunked",
    "content-length: 3",
    "upgrade: websocket\r\nconnection: upgrade",
    "accept: a\x00b",
    "accept: \xe9",
    "accept : x",
    "accept: x\r\n y: z",
    "x-hf-bill-to: somebody",
    "content-encoding: gzip",
])  # fmt: skip
def test_a_header_that_could_be_read_in_two_ways_is_refused(
    there: Front, key: str, line: str
) -> None:
    before = len(there.seen)
    answer = ask(there.gateway, post(CHAT, key, line, path=GROQ))
    assert refused(answer, 400, 415)
    assert len(there.seen) == before


def test_of_a_clients_headers_only_those_go_on_that_say_what_is_sent_and_wanted(
    there: Front, key: str
) -> None:
    sent = [
        "accept: image/png", "prefer: wait", "x-use-cache: 0", "user-agent: me", "cookie: a=b",
        "x-forwarded-for: 1.2.3.4", "x-forwarded-host: h", "forwarded: for=x", "via: 1.1 me",
        "origin: http://x.example", "referer: http://x.example", "x-api-key: k",
        "proxy-authorization: Basic x", "x-real-ip: 1.2.3.4", "te: trailers", "x-request-id: mine",
        "accept-encoding: gzip", "x-sandbox-fault: 500",
    ]  # fmt: skip
    assert ask(there.gateway, post(CHAT, key, *sent, path=GROQ)).status == 200
    came = there.last.headers
    assert set(came) == {
        "host", "user-agent", "accept-encoding", "accept", "content-type", "prefer", "x-use-cache",
        "authorization", "content-length",
    }  # fmt: skip
    assert came["host"] == f"127.0.0.1:{there.router.port}"
    assert came["accept-encoding"] == "identity"
    assert came["user-agent"].startswith("trunkline/")
    assert came["authorization"] == f"Bearer {TOKEN}"


def test_a_body_in_chunks_goes_on_with_its_length(there: Front, key: str) -> None:
    body = json.dumps(CHAT).encode()
    lines = ["content-type: application/json", "transfer-encoding: chunked"]
    answer = ask(there.gateway, head("POST", GROQ, *lines, key=key) + b"\r\n" + chunks(body, 7))
    assert answer.status == 200
    assert there.last.body == body
    assert "transfer-encoding" not in there.last.headers


def test_two_requests_in_one_write_stay_two(there: Front, key: str) -> None:
    hidden = post(CHAT, "hf_nobodys", path=GROQ)
    with Wire(there.gateway) as wire:
        wire.send(post(CHAT, key, path=GROQ) + hidden)
        assert wire.answer().status == 200
        assert refused(wire.answer(), 401)


@pytest.mark.parametrize(
    "secret", ["", "tl-", "hf_", "hf_tl-", "hf_hf_{key}", "HF_{key}", "hf_{key}x"]
)
def test_a_key_that_only_looks_like_one_is_none(there: Front, key: str, secret: str) -> None:
    answer = ask(there.gateway, post(CHAT, secret.format(key=key) or None, path=GROQ))
    assert refused(answer, 401) == "invalid_api_key"
    assert "No valid key" in answer.json["error"]


def test_a_key_may_begin_as_hugging_faces_do_on_every_route(there: Front, key: str) -> None:
    for path in ("/hf/v1/models", "/v1/models"):
        assert ask(there.gateway, get(path, key=f"hf_{key}")).status == 200


def test_a_key_that_begins_as_hugging_faces_do_is_taken_out_of_texts_too(key: str) -> None:
    assert Secrets().clean(f"sent hf_{key} to them") == "sent hf_[hidden] to them"


def test_of_an_answers_headers_only_those_come_back_that_say_what_it_is(
    there: Front, key: str
) -> None:
    answer = ask(there.gateway, post({}, key, path="/hf/together/v1/headers"))
    assert answer.body == b"ok"
    assert set(answer.headers) == {
        "date", "x-request-id", "content-type", "x-content-type-options", "content-length",
        "x-inference-provider",
    }  # fmt: skip
    assert answer.headers["content-type"] == "text/plain"


def test_an_answer_that_repeats_the_gateways_token_is_told_without_it(
    there: Front, key: str
) -> None:
    answer = ask(there.gateway, post({}, key, path="/hf/together/v1/echo"))
    assert answer.status == 400
    assert answer.json == {"error": "bad token Bearer ****"}


@pytest.mark.parametrize("case", MOVED)
def test_a_redirect_to_somewhere_else_is_not_told(there: Front, key: str, case: str) -> None:
    answer = ask(there.gateway, post({}, key, path=f"/hf/together/v1/{case}"))
    assert refused(answer, 502) == "upstream_invalid_response"
    assert "location" not in answer.headers
    assert b"evil" not in answer.body


def test_a_form_or_a_text_with_two_models_is_refused(there: Front, key: str) -> None:
    before = len(there.seen)
    twice = b'{"model": "a", "messages": [{"role": "user", "content": "Hi"}], "model": "b"}'
    plain = head("POST", GROQ, "content-type: text/plain", f"content-length: {len(twice)}", key=key)
    assert refused(ask(there.gateway, post(twice, key, path=GROQ)), 400) == "invalid_json"
    assert refused(ask(there.gateway, plain + b"\r\n" + twice), 400) == "invalid_json"
    field = b'--b\r\ncontent-disposition: form-data; name="model"\r\n\r\n%b\r\n'
    for body in (
        field % b"a" + field % b"b" + b"--b--\r\n",
        field % b"a" * 101 + b"--b--\r\n",
        b"--c\r\nno form",
    ):
        lines = ["content-type: multipart/form-data; boundary=b", f"content-length: {len(body)}"]
        path = "/hf/deepinfra/v1/openai/audio/transcriptions"
        answer = ask(there.gateway, head("POST", path, *lines, key=key) + b"\r\n" + body)
        assert refused(answer, 400, 413) in ("invalid_form", "request_too_large")
    assert len(there.seen) == before
