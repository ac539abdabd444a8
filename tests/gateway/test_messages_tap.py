"""What is read of a message that its target makes itself, while its bytes go through."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trials import often
from trunkline.dialects import failures
from trunkline.errors import ServiceUnavailableError
from trunkline.gateway.messages_tap import MessageTap, read_message
from trunkline.gateway.tokens import Tokens

USAGE = {
    "input_tokens": 4,
    "cache_read_input_tokens": 2,
    "cache_creation_input_tokens": 1,
    "output_tokens": 1,
}
MESSAGE: dict[str, Any] = {"id": "msg_1", "type": "message", "content": [], "usage": USAGE}
START = {"type": "message_start", "message": MESSAGE}
PING = {"type": "ping"}
OPENED = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
HEL = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hél"}}
LO = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "lo"}}
CLOSED = {"type": "content_block_stop", "index": 0}
DELTA = {
    "type": "message_delta",
    "delta": {"stop_reason": "end_turn", "stop_sequence": None},
    "usage": {"output_tokens": 5},
}
STOP = {"type": "message_stop"}
ALL = (START, PING, OPENED, HEL, LO, CLOSED, DELTA, STOP)


def sse(*bodies: dict[str, Any], named: bool = True, end: bytes = b"\n") -> bytes:
    """Return events, with their names as the API sends them or without."""
    told = []
    for body in bodies:
        name = b"event: " + body["type"].encode() + end if named else b""
        told.append(name + b"data: " + json.dumps(body, ensure_ascii=False).encode() + end + end)
    return b"".join(told)


def fed(data: bytes) -> tuple[MessageTap, bytes]:
    tap = MessageTap()
    return tap, tap.feed(data)


@pytest.mark.parametrize("named", [True, False])
def test_a_whole_stream_goes_on_as_it_came_and_is_counted(named: bool) -> None:
    data = sse(*ALL, named=named)
    tap, out = fed(data)
    assert out == data
    assert tap.whole
    assert tap.done
    assert tap.tokens == Tokens(7, 5, 2)
    assert tap.said_bytes == len("Héllo".encode())


def test_other_line_ends_are_read_and_written_anew() -> None:
    tap, out = fed(sse(*ALL, end=b"\r\n"))
    assert out == sse(*ALL)
    assert tap.whole


@settings(max_examples=often(100), deadline=None)
@given(st.sets(st.integers(0, len(sse(*ALL))), max_size=10))
def test_any_split_of_the_bytes_is_read_the_same(cuts: set[int]) -> None:
    data, tap, out = sse(*ALL), MessageTap(), b""
    marks = [0, *sorted(cuts), len(data)]
    for start, end in itertools.pairwise(marks):
        out += tap.feed(data[start:end])
    assert out == data
    assert (tap.whole, tap.done, tap.tokens) == (True, True, Tokens(7, 5, 2))


@pytest.mark.parametrize(
    "delta",
    [
        {"type": "thinking_delta", "thinking": "hm"},
        {"type": "input_json_delta", "partial_json": "{}"},
    ],
)
def test_thoughts_and_arguments_are_said_too(delta: dict[str, str]) -> None:
    tap, _ = fed(sse(START, {"type": "content_block_delta", "index": 0, "delta": delta}))
    assert (tap.events, tap.said_bytes) == (2, 2)


def test_a_stream_without_a_reason_is_not_whole_and_its_start_counts_nothing() -> None:
    tap, _ = fed(sse(START, OPENED, HEL))
    tap.finish()
    assert not tap.whole
    assert not tap.tokens.told


def test_what_was_said_at_the_start_is_no_count_of_the_answer() -> None:
    tap, _ = fed(sse(START, OPENED, HEL, {**DELTA, "usage": {"input_tokens": 4}}, STOP))
    assert tap.whole
    assert tap.tokens == Tokens(7, None, 2)


def test_an_error_ends_it_and_is_kept_back() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Busy"}}
    for named in (True, False):
        tap, out = fed(sse(START, HEL, error, LO, named=named))
        assert out == sse(START, HEL, named=named)
        assert tap.failure is not None
        failure = failures.failure_in_stream(tap.failure)
        assert isinstance(failures.error_for(failure), ServiceUnavailableError)


def test_events_of_unusual_kinds_are_read_all_the_same() -> None:
    odd = {**HEL, "delta": {"type": "text_delta", "text": "Hi", "partial_json": 5}}
    data = sse(START, odd, {"type": "new_event", "delta": "x"}, DELTA, STOP)
    tap, out = fed(data)
    assert out == data
    assert (tap.whole, tap.said_bytes) == (True, 2)


def test_bytes_that_are_no_text_are_marked() -> None:
    tap, out = fed(sse(START) + sse(HEL).replace("é".encode(), b"\xe9") + sse(DELTA, STOP))
    assert "H\ufffdl" in out.decode()
    assert tap.whole


def test_half_an_event_at_the_end_breaks_it() -> None:
    tap, _ = fed(sse(START, HEL) + b'event: x\ndata: {"type":\n\n')
    assert tap.unreadable
    assert not tap.whole


@pytest.mark.parametrize(
    ("body", "tokens"),
    [
        ({**MESSAGE, "usage": {**USAGE, "output_tokens": 5}}, Tokens(7, 5, 2)),
        ({**MESSAGE, "usage": None}, Tokens()),
        ({**MESSAGE, "usage": {"input_tokens": -1, "output_tokens": 2.0}}, Tokens(None, 2)),
        ({**MESSAGE, "content": None}, None),
        ({"type": "error", "error": {"type": "api_error", "message": "x"}}, None),
        ([], None),
    ],
)
def test_a_whole_message_is_counted_or_is_none(body: Any, tokens: Tokens | None) -> None:
    assert read_message(json.dumps(body).encode()) == tokens


def test_what_is_no_json_is_no_message() -> None:
    assert read_message(b"<html>") is None
