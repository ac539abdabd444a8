"""Upstreams that answer in odd ways, byte by byte as they are: what reaches OpenAI's client of it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openai
import pytest
from questions import MESSAGES
from running import running

from loopback import LAST, STREAM_HEAD, UNFRAMED_HEAD, Script, Upstream, Visit, completion, whole

pytestmark = pytest.mark.slow

Serve = Callable[..., Upstream]
CHUNK = (
    b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":"Hi"}}]}\n\n',
    b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n',
)


@contextmanager
def asking(serve: Serve, folder: Path, *scripts: Script) -> Iterator[openai.OpenAI]:
    """Ask a gateway in front of a server that does what its scripts say."""
    upstream = serve(*scripts)
    config = f'default_upstream = "odd"\n[upstreams.odd]\nbase_url = "{upstream.url}/v1"\n'
    with (
        running(folder, config) as gateway,
        openai.OpenAI(
            base_url=f"{gateway.url}/v1", api_key=gateway.new_key(), max_retries=0, timeout=10
        ) as client,
    ):
        yield client


def create(client: openai.OpenAI, **more: Any) -> Any:
    return client.chat.completions.create(**{"model": "any", "messages": MESSAGES, **more})


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_a_long_refusal_that_comes_in_many_reads_says_when_to_try_again(
    serve: Serve, tmp_path: Path, streamed: bool
) -> None:
    def refuse(visit: Visit) -> None:
        visit.request()
        body = json.dumps({"error": {"message": "too many", "more": "x" * 1_000_000}}).encode()
        visit.answer(body, 429, **{"retry-after": "7"})

    with (
        asking(serve, tmp_path, refuse) as client,
        pytest.raises(openai.RateLimitError, match="too many") as caught,
    ):
        create(client, stream=streamed)
    assert caught.value.response.headers["retry-after"] == "7"


def test_headers_of_an_upstream_are_not_passed_on_but_for_those_that_are_meant(
    serve: Serve, tmp_path: Path
) -> None:
    def answer(visit: Visit) -> None:
        visit.request()
        visit.answer(
            **{"set-cookie": "a=b", "x-request-id": "theirs", "server": "odd", "x-ratelimit-limit": "1"}
        )  # fmt: skip

    with asking(serve, tmp_path, answer) as client:
        raw = client.chat.completions.with_raw_response.create(model="any", messages=MESSAGES)
    assert not {"set-cookie", "server", "x-ratelimit-limit"} & set(raw.headers)
    assert raw.headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_an_error_and_is_not_followed(
    serve: Serve, tmp_path: Path, status: int
) -> None:
    def elsewhere(visit: Visit) -> None:
        pytest.fail("somebody followed a redirect")

    other = serve(elsewhere)

    def redirect(visit: Visit) -> None:
        visit.request()
        visit.answer(b"", status, location=f"{other.url}/v1/chat/completions")

    with (
        asking(serve, tmp_path, redirect) as client,
        pytest.raises(openai.InternalServerError, match="redirect") as caught,
    ):
        create(client)
    assert caught.value.status_code == 502


def test_a_stream_in_one_read_after_a_refusal_in_another_are_one_connections(
    serve: Serve, tmp_path: Path
) -> None:
    def both(visit: Visit) -> None:
        visit.request()
        visit.answer(b'{"error":"busy"}', 503)
        visit.request()
        events = b"".join(CHUNK)
        visit.send(STREAM_HEAD, b"%x\r\n%b\r\n" % (len(events), events), LAST)

    with asking(serve, tmp_path, both) as client:
        with pytest.raises(openai.InternalServerError, match="busy"):
            create(client)
        chunks = list(create(client, stream=True))
    assert [c.choices[0].finish_reason for c in chunks] == [None, "stop"]


def test_an_interim_answer_is_passed_over(serve: Serve, tmp_path: Path) -> None:
    def early(visit: Visit) -> None:
        visit.request()
        visit.send(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n")
        visit.answer()

    with asking(serve, tmp_path, early) as client:
        assert create(client).choices


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000,
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n",
    ],
    ids=["ssh", "two-lengths", "endless-head", "bad-chunk", "no-content", "upgrade"],
)
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_what_is_no_answer_is_a_bad_gateway(
    serve: Serve, tmp_path: Path, answer: bytes, streamed: bool
) -> None:
    def odd(visit: Visit) -> None:
        visit.request()
        visit.send(answer)

    with (
        asking(serve, tmp_path, odd) as client,
        pytest.raises(openai.InternalServerError) as caught,
    ):
        create(client, stream=streamed)
    assert caught.value.status_code == 502


def _said(index: int, finish: str | None = None) -> bytes:
    delta = {} if finish else {"content": f"I am {index}. "}
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"


@pytest.mark.parametrize("done", [b"", b"data: [DONE]\n\n"], ids=["cut", "marked"])
def test_of_two_answers_both_have_to_end(serve: Serve, tmp_path: Path, done: bytes) -> None:
    def streams(visit: Visit) -> None:
        both = [_said(0), _said(1), _said(0), _said(0, "stop"), _said(1)]
        for last in ([], [_said(1, "length")]):
            visit.request()
            events = b"".join([*both, *last, done])
            visit.send(STREAM_HEAD, b"%x\r\n%b\r\n" % (len(events), events), LAST)

    with asking(serve, tmp_path, streams) as client:
        with pytest.raises(openai.APIError) as caught:
            list(create(client, stream=True, n=2))
        assert caught.value.code == "upstream_truncated"
        chunks = list(create(client, stream=True, n=2))
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "length"


def test_a_stream_that_ends_with_its_connection_is_whole_if_it_said_its_end(
    serve: Serve, tmp_path: Path
) -> None:
    def ends(visit: Visit) -> None:
        visit.request()
        visit.send(UNFRAMED_HEAD.replace(b"HTTP/1.1", b"HTTP/1.0"), *CHUNK)

    def cut(visit: Visit) -> None:
        visit.request()
        visit.send(UNFRAMED_HEAD, CHUNK[0], CHUNK[1][:30])

    with asking(serve, tmp_path, ends, cut) as client:
        chunks = list(create(client, stream=True))
        assert [c.choices[0].finish_reason for c in chunks] == [None, "stop"]
        with pytest.raises(openai.APIError) as caught:
            list(create(client, stream=True))
    assert caught.value.code == "upstream_truncated"


def test_an_upstream_that_refuses_a_large_body_before_it_has_all_of_it_is_heard(
    serve: Serve, tmp_path: Path
) -> None:
    def refuse(visit: Visit) -> None:
        visit.head()
        visit.answer(b'{"error":{"message":"too large here"}}', 413, connection="close")
        visit.hold("heard")

    upstream = serve(refuse)
    config = f'default_upstream = "odd"\n[upstreams.odd]\nbase_url = "{upstream.url}/v1"\n'
    messages = [{"role": "user", "content": "word " * 1_000_000}]
    with (
        running(tmp_path, config) as gateway,
        openai.OpenAI(
            base_url=f"{gateway.url}/v1", api_key=gateway.new_key(), max_retries=0, timeout=10
        ) as client,
        pytest.raises(openai.APIStatusError, match="too large here") as caught,
    ):
        create(client, messages=messages)
    upstream.say("heard")
    assert caught.value.status_code == 413


@pytest.mark.parametrize(
    "more",
    [
        b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx-request-id: anothers\r\nx: ",
        b"H",
        b"garbage",
    ],
    ids=["whole", "head", "letter", "garbage"],
)
def test_what_an_upstream_sends_after_its_answer_spoils_neither_that_call_nor_another(
    serve: Serve, tmp_path: Path, more: bytes
) -> None:
    def chatty(visit: Visit) -> None:
        visit.request()
        visit.send(whole(completion()), more)

    def plain(visit: Visit) -> None:
        visit.request()
        visit.answer()

    with asking(serve, tmp_path, chatty, plain) as client:
        for _ in range(2):
            assert create(client).choices[0].message.content


def test_a_packed_answer_that_nobody_asked_for_is_told_as_no_answer(
    serve: Serve, tmp_path: Path
) -> None:
    def packed(visit: Visit) -> None:
        request = visit.request()
        assert request.headers["accept-encoding"] == "identity"
        visit.answer(gzip.compress(b'{"choices":[]}'), **{"content-encoding": "gzip"})

    with asking(serve, tmp_path, packed) as client, pytest.raises(openai.InternalServerError) as e:
        create(client)
    assert (e.value.status_code, e.value.code) == (502, "upstream_invalid_response")
