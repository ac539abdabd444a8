"""What is read of a response that its target makes itself, while its bytes go through."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trials import often
from trunkline.dialects import failures
from trunkline.errors import RateLimitError
from trunkline.gateway.responses_tap import ResponseTap, read_response
from trunkline.gateway.tokens import Tokens
from trunkline.wire.sse import EventReader

USAGE = {
    "input_tokens": 7,
    "output_tokens": 5,
    "input_tokens_details": {"cached_tokens": 3},
    "total_tokens": 12,
}
RESPONSE: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "status": "in_progress",
    "output": [],
}
CREATED = {"type": "response.created", "response": RESPONSE}
HEL = {"type": "response.output_text.delta", "item_id": "m", "delta": "Hél"}
LO = {"type": "response.output_text.delta", "item_id": "m", "delta": "lo"}
PART = {"type": "response.content_part.added", "part": {"type": "output_text", "text": ""}}
DONE = {
    "type": "response.completed",
    "response": {**RESPONSE, "status": "completed", "usage": USAGE},
}
CUT = {"type": "response.incomplete", "response": {**RESPONSE, "usage": USAGE}}


def sse(*bodies: dict[str, Any], named: bool = True, end: bytes = b"\n") -> bytes:
    """Return numbered events, with their names as OpenAI sends them or without."""
    told = []
    for number, body in enumerate(bodies):
        name = b"event: " + body["type"].encode() + end if named else b""
        data = json.dumps({**body, "sequence_number": number}, ensure_ascii=False).encode()
        told.append(name + b"data: " + data + end + end)
    return b"".join(told)


def fed(data: bytes) -> tuple[ResponseTap, bytes]:
    tap = ResponseTap()
    return tap, tap.feed(data)


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("last", [DONE, CUT])
def test_a_whole_stream_goes_on_as_it_came_and_is_counted(named: bool, last: Any) -> None:
    data = sse(CREATED, PART, HEL, LO, last, named=named)
    tap, out = fed(data)
    assert out == data
    assert (tap.whole, tap.done, tap.failure) == (True, True, None)
    assert tap.tokens == Tokens(7, 5, 3)
    assert (tap.sequence, tap.said_bytes) == (4, len("Héllo".encode()))


def test_a_stream_without_its_last_event_is_not_whole_and_its_text_is_estimated() -> None:
    tap, out = fed(sse(CREATED, PART, HEL, LO))
    assert out.count(b"\n\n") == 4
    assert (tap.whole, tap.done, tap.tokens.told) == (False, False, False)
    assert tap.estimated_output == 2
    assert tap.finish() == b""
    assert not tap.whole


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_nothing_that_came_with_the_last_event_follows_it(end: bytes) -> None:
    tap, out = fed(sse(CREATED, DONE, HEL, end=end))
    assert out == sse(CREATED, DONE)
    assert tap.whole


def test_nothing_follows_the_last_event() -> None:
    tap, out = fed(sse(CREATED, DONE) + b"data: [DONE]\n\n")
    assert out == sse(CREATED, DONE)
    assert tap.whole
    assert tap.feed(sse(HEL)) == b""


@pytest.mark.parametrize(
    "event",
    [
        {"type": "error", "code": "rate_limit_exceeded", "message": "Slow down."},
        {"type": "error", "error": {"code": "rate_limit_exceeded", "message": "Slow down."}},
        {"type": "response.failed", "response": {**RESPONSE, "error": {"code": "rate_limit_exceeded", "message": "Slow down."}}},
    ],
)  # fmt: skip
def test_a_failure_is_kept_back_and_read(event: dict[str, Any]) -> None:
    tap, out = fed(sse(CREATED, HEL) + sse(event) + sse(LO))
    assert out == sse(CREATED, HEL)
    assert tap.failure is not None
    error = failures.error_for(failures.failure_in_stream(tap.failure))
    assert isinstance(error, RateLimitError)
    assert error.message == "Slow down."
    assert not tap.whole


def test_a_bare_error_and_a_failure_without_a_reason_are_failures() -> None:
    tap, out = fed(b'data: {"error": {"message": "Oh.", "code": 500}}\n\n')
    assert (out, tap.failure is None, tap.unreadable) == (b"", False, False)
    tap, _ = fed(sse({"type": "response.failed", "response": RESPONSE}))
    assert b"does not say why" in (tap.failure or b"")
    tap, _ = fed(b"event: error\ndata: no JSON\n\n")
    assert tap.failure == b"no JSON"


def test_what_is_no_json_breaks_the_stream_and_damaged_text_is_mended() -> None:
    tap, _ = fed(sse(CREATED) + b"data: {broken\n\n")
    assert (tap.unreadable, tap.failure) == (True, b"{broken")
    damaged = b'data: {"type":"response.output_text.delta","delta":"a\xff"}\n\n'
    name = b"event: response.output_text.delta\n"
    for begin in (b"", name):
        tap, out = fed(sse(CREATED, named=False) + begin + damaged)
        assert out.endswith(begin + damaged.replace(b"\xff", "\ufffd".encode()))
        assert tap.failure is None


def test_a_last_event_with_an_odd_number_still_counts() -> None:
    tap, out = fed(
        sse(CREATED) + sse(DONE).replace(b'"sequence_number": 0', b'"sequence_number": "x"')
    )
    assert b'"x"' in out
    assert tap.whole
    assert tap.tokens == Tokens(7, 5, 3)
    assert tap.sequence == 0


def test_odd_fields_are_no_reason_to_stop() -> None:
    odd = {"type": "response.output_text.delta", "delta": ["x"], "sequence_number": "7"}
    data = b"data: " + json.dumps(odd).encode() + b"\n\n"
    tap, out = fed(data + b": ping\n\n" + b"data: {}\n\n")
    assert out == data + b": ping\n\n" + b"data: {}\n\n"
    assert tap.failure is None


def test_a_last_event_may_be_larger_than_a_chats() -> None:
    large = {**DONE, "response": {**DONE["response"], "output": ["x" * (2 << 20)]}}
    data = sse(CREATED, large)
    tap = ResponseTap()
    out = b"".join(tap.feed(data[at : at + 65536]) for at in range(0, len(data), 65536))
    assert EventReader(64 << 20).feed(out) == EventReader(64 << 20).feed(data)
    assert tap.whole
    assert tap.tokens == Tokens(7, 5, 3)


@settings(max_examples=often(150), deadline=None)
@given(
    st.lists(st.sampled_from([HEL, LO, PART, CREATED]), max_size=6),
    st.sampled_from([DONE, CUT, None]),
    st.lists(st.integers(0, 4000), max_size=10),
    st.sampled_from([b"\n", b"\r\n"]),
    st.booleans(),
)
def test_however_a_stream_is_cut_the_same_is_read(
    bodies: list[Any], last: Any, cuts: list[int], end: bytes, named: bool
) -> None:
    data = sse(*bodies, *([last] if last else ()), named=named, end=end)
    places = sorted({cut % (len(data) + 1) for cut in cuts})
    pieces = [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]
    tap = ResponseTap()
    out = b"".join([*map(tap.feed, pieces), tap.finish()])
    assert EventReader().feed(out) == EventReader().feed(data)
    assert tap.whole is (last is not None)
    assert tap.tokens == (Tokens(7, 5, 3) if last else Tokens())


@pytest.mark.parametrize(
    ("body", "tokens"),
    [
        ({**RESPONSE, "usage": USAGE}, Tokens(7, 5, 3)),
        (RESPONSE, Tokens()),
        ({**RESPONSE, "usage": None, "error": None}, Tokens()),
        ({**RESPONSE, "usage": {"input_tokens": 7.0, "output_tokens": -1}}, Tokens(7, None, None)),
        ({**RESPONSE, "status": "incomplete"}, Tokens()),
        ({**RESPONSE, "status": "failed"}, None),
        ({**RESPONSE, "status": "cancelled"}, None),
        ({**RESPONSE, "error": {"message": "x"}}, None),
        ({**RESPONSE, "output": None}, None),
        ({"choices": []}, None),
        ([], None),
    ],
)
def test_a_whole_response_is_counted_and_a_failure_is_none(
    body: Any, tokens: Tokens | None
) -> None:
    assert read_response(json.dumps(body).encode()) == tokens


def test_damaged_text_in_a_whole_response_is_no_reason_to_refuse_it() -> None:
    data = b'{"object":"response","output":["\xff"],"usage":{"input_tokens":1,"output_tokens":2}}'
    assert read_response(data) == Tokens(1, 2)
    assert read_response(b"<html>") is None
