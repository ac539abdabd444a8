"""Chats that are told in another API, over real sockets: what is no chat, and what cannot be told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from odd_streams import streams
from raw import Answer, Wire, ask, post
from running import Gateway, running

from loopback import LAST, STREAM_HEAD, Upstream, Visit, completion, event, whole
from trials import often
from trunkline.dialects.responses_answer import Envelope
from trunkline.errors import InvalidResponseError
from trunkline.gateway.refusals import Fault
from trunkline.gateway.responses_voice import ResponsesVoice
from trunkline.gateway.tap import StreamTap
from trunkline.wire.sse import EventReader

CONFIG = """
default_upstream = "first"
[upstreams.first]
base_url = "{first}"
[upstreams.second]
base_url = "{second}"
[routes.both]
targets = [{{ upstream = "first", model = "one" }}, {{ upstream = "second", model = "two" }}]
"""


def serving(*parts: bytes) -> Callable[[Visit], None]:
    """Answer each request of a connection with the same bytes."""

    def script(visit: Visit) -> None:
        while True:
            visit.request()
            visit.send(*parts)

    return script


def chunked(*events: bytes) -> tuple[bytes, ...]:
    return (STREAM_HEAD, *[b"%x\r\n%b\r\n" % (len(data), data) for data in events], LAST)


@contextmanager
def before(folder: Path, first: Callable[[Visit], None]) -> Iterator[tuple[Gateway, Upstream]]:
    """Run a gateway whose first target is as told, and whose second answers well."""
    one, two = Upstream(first), Upstream(serving(whole(completion("Well."))))
    try:
        config = CONFIG.format(first=one.url, second=two.url)
        with running(folder, config) as gateway:
            yield gateway, one
    finally:
        one.close()
        two.close()


def asked(gateway: Gateway, **more: Any) -> Answer:
    body = {"model": "both", "input": "Hi", **more}
    return ask(gateway, post(body, gateway.new_key(), path="/v1/responses"))


@pytest.mark.parametrize(
    "body",
    [
        {"choices": ["not an object, though long enough"]},
        {"choices": [{"index": 0, "finish_reason": "stop", "text": "no message"}]},
        {"choices": [{"message": {"content": 5}, "finish_reason": "stop"}]},
        {"error": {"message": "busy", "code": 503}},
    ],
)
def test_what_is_no_chat_goes_to_the_next_target(tmp_path: Path, body: Any) -> None:
    with before(tmp_path, serving(whole(json.dumps(body).encode()))) as (gateway, _):
        answer = asked(gateway)
        assert answer.json["output"][0]["content"][0]["text"] == "Well."
        row = gateway.entry(answer.headers["x-request-id"])
        assert (row["attempts"], row["outcome"], row["upstream"]) == (3, "ok", "second")
        alone = asked(gateway, model="first/one")
        assert alone.status in (502, 503)
        row = gateway.entry(alone.headers["x-request-id"])
        assert (row["outcome"], row["status"], row["cost"]) == ("failed", alone.status, None)


@pytest.mark.parametrize(
    ("status", "code"), [(429, "rate_limit_exceeded"), (402, "server_error"), (503, "server_error")]
)
def test_a_response_that_broke_off_ends_with_a_code_that_responses_know(
    status: int, code: str
) -> None:
    voice = ResponsesVoice(Envelope("0", 0, {}))
    begun = voice.events(event("Hello"))
    fault = Fault(status, "our_code", "Why.", retry_after=7.0)
    told = EventReader().feed(begun + voice.broken(fault, "req_1"))
    error, failed = (json.loads(found.data) for found in told[-2:])
    assert (error["code"], error["message"]) == ("our_code", "Why.")
    assert (error["error"]["partial"], error["error"]["request_id"]) == (True, "req_1")
    assert failed["response"]["error"] == {"code": code, "message": "Why."}
    (item,) = failed["response"]["output"]
    assert (item["status"], item["content"][0]["text"]) == ("incomplete", "Hello")


def test_what_cannot_be_told_ends_a_stream_as_one_that_broke_off(tmp_path: Path) -> None:
    odd = event("").replace(b'"content": ""', b'"tool_calls": "none"')
    head, hello, *rest = chunked(event("Hello"), odd, event(None, "stop"))

    def script(visit: Visit) -> None:
        visit.request()
        visit.send(head, hello)
        visit.hold("heard")
        visit.send(*rest)
        visit.until_gone()

    with before(tmp_path, script) as (gateway, server), Wire(gateway) as wire:
        body = {"model": "both", "input": "Hi", "stream": True}
        wire.send(post(body, gateway.new_key(), path="/v1/responses"))
        wire.until(b"Hello")
        server.say("heard")
        told = wire.until(b"0\r\n\r\n")
        assert told.index(b"event: error") < told.index(b"event: response.failed")
        assert b'"code":"upstream_truncated"' in told
        (row,) = gateway.ledger(1)
        assert (row["outcome"], row["error"], row["attempts"]) == (
            "truncated",
            "upstream_truncated",
            1,
        )


def test_a_stream_whose_end_cannot_be_told_is_settled_as_one_that_broke_off(
    tmp_path: Path,
) -> None:
    nameless = event("").replace(
        b'"content": ""',
        b'"tool_calls": [{"index": 0, "id": "c", "function": {"arguments": "{}"}}]',
    )
    first = serving(*chunked(nameless, event(None, "tool_calls")))
    well = serving(*chunked(event("Well."), event(None, "stop")))
    one, two = Upstream(first), Upstream(well)
    try:
        with running(tmp_path, CONFIG.format(first=one.url, second=two.url)) as gateway:
            body = {
                "model": "both",
                "max_tokens": 9,
                "stream": True,
                "messages": [{"role": "user", "content": "Hi"}],
            }
            answer = ask(gateway, post(body, gateway.new_key(), path="/v1/messages"))
            row = gateway.entry(answer.headers["x-request-id"])
            assert b"event: error" in answer.body
            assert (row["attempts"], row["outcome"]) == (1, "truncated")
    finally:
        one.close()
        two.close()


@settings(max_examples=often(250), deadline=None)
@given(streams(), st.lists(st.integers(0, 3000), max_size=10))
def test_of_the_oddest_stream_every_event_counts_and_can_be_read(
    stream: bytes, cuts: list[int]
) -> None:
    """And however it is cut, the events are the same."""
    places = sorted({cut % (len(stream) + 1) for cut in cuts})
    pieces = [stream[a:b] for a, b in zip([0, *places], [*places, len(stream)], strict=True)]
    once, cut = _told([stream]), _told(pieces)
    assert once == cut
    events = [json.loads(e.data) for e in EventReader().feed(once)]
    assert [e["sequence_number"] for e in events] == list(range(len(events)))


def _told(pieces: list[bytes]) -> bytes:
    tap, voice = StreamTap(), ResponsesVoice(Envelope("0", 0, {}))
    said: list[bytes] = []
    try:
        for piece in pieces:
            passed = tap.feed(piece)
            # whole events that came together are told one by one, as their bytes may be cut anywhere
            said += [voice.events(block + b"\n\n") for block in passed.split(b"\n\n") if block]
        said.append(voice.events(tap.finish()))
    except InvalidResponseError:
        return b"".join(said)
    return b"".join([*said, voice.end()])
