"""Every fault of the table, read by the client's own wire and dialect."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import pytest

from trunkline import errors
from trunkline.dialects import failures
from trunkline.dialects.openai_chat import (
    ChunkReader,
    is_event_stream,
    read_answer,
    refuse_unstreamed,
)
from trunkline.errors import APIError
from trunkline.providers.targets import SANDBOX_URL
from trunkline.sandbox import FAULTS, Fault, InProcessTransport, Reply, Sandbox
from trunkline.sandbox.fault import UnknownFaultError, choose_fault
from trunkline.transport.seam import Exchange
from trunkline.types import Completion, Timeouts
from trunkline.wire.message import HttpRequest

TIMED = ("endless", "stall", "drip")
"""What faults without an end begin with: they are given up soon, all others are waited for."""

GIVEN_UP = "StreamTruncated|Timeout"
"""How a stream that is given up ends: on a busy machine before it said anything."""

OK = "ok"
"""The answer is whole, whatever its form."""

ENDINGS = {
    "truncated": ("StreamTruncated", "InvalidResponseError"),
    "truncated-close": ("StreamTruncated", "InvalidResponseError"),
    "no-finish": ("StreamTruncated", "InvalidResponseError"),
    "no-done": (OK, OK),
    "cut-event": ("StreamTruncated", "InvalidResponseError"),
    "broken-json": ("StreamTruncated", "InvalidResponseError"),
    "cut": ("StreamTruncated", "APIConnectionError"),
    "cut-length": ("StreamTruncated", "APIConnectionError"),
    "reset": ("StreamTruncated", "APIConnectionError"),
    "cut-head": ("APIConnectionError", "APIConnectionError"),
    "no-answer": ("APIConnectionError", "APIConnectionError"),
    "reset-at-once": ("APIConnectionError", "APIConnectionError"),
    "error-first": ("ServiceUnavailableError", "ServiceUnavailableError"),
    "error-mid-stream": ("InternalServerError", "InternalServerError"),
    "error-tgi": ("ContextWindowExceededError", "ContextWindowExceededError"),
    "error-string": ("GenerationError", "GenerationError"),
    "event-error": ("BadRequestError", "BadRequestError"),
    "json-error-200": ("ServiceUnavailableError", "ServiceUnavailableError"),
    "json-200": ("InvalidResponseError", OK),
    "html-200": ("InvalidResponseError", "InvalidResponseError"),
    "empty-200": ("InvalidResponseError", "InvalidResponseError"),
    "huge-event": ("StreamTruncated", OK),
    "endless-line": ("InvalidResponseError|StreamTruncated", "APIConnectionError|Timeout"),
    "endless": (GIVEN_UP, "Timeout"),
    "endless-empty": (GIVEN_UP, "Timeout"),
    "endless-comments": (GIVEN_UP, "Timeout"),
    "drip": (GIVEN_UP, "Timeout"),
    "stall-head": ("Timeout", "Timeout"),
    "stall-first": (GIVEN_UP, "Timeout"),
    "stall": (GIVEN_UP, "Timeout"),
    "tools-orphan": ("StreamTruncated", OK),
    "tools-cut": ("StreamTruncated", OK),
    "error-then-done": ("InternalServerError", "InternalServerError"),
    "reset-head": ("StreamTruncated", "APIConnectionError"),
    "bad-chunk": ("StreamTruncated", "APIConnectionError"),
    "chunk-short": ("StreamTruncated", "APIConnectionError"),
    "length-short": ("StreamTruncated", "InvalidResponseError"),
    "length-twice": ("APIConnectionError", "APIConnectionError"),
    "length-and-chunks": ("APIConnectionError", "APIConnectionError"),
    "huge-length": ("StreamTruncated", "APIConnectionError"),
    "gzip-short": ("StreamTruncated", "APIConnectionError"),
    "gzip-bomb": ("StreamTruncated", "APIConnectionError"),
    "headers-many": ("APIConnectionError", "APIConnectionError"),
    "header-split": ("APIConnectionError", "APIConnectionError"),
    "bad-head": ("APIConnectionError", "APIConnectionError"),
    "101": ("APIConnectionError", "APIConnectionError"),
    "204": ("APIError", "APIError"),
    "302": ("APIError", "APIError"),
    "307": ("APIError", "APIError"),
    "308": ("APIError", "APIError"),
    "events-200": (OK, "InvalidResponseError"),
    "null-200": ("InvalidResponseError", "InvalidResponseError"),
    "no-choices": ("StreamTruncated", "InvalidResponseError"),
    "null-choices": ("StreamTruncated", "InvalidResponseError"),
    "no-message": (OK, "InvalidResponseError"),
    "null-finish": ("StreamTruncated", OK),
    "flaky-reset": ("APIConnectionError", "APIConnectionError"),
    "flaky-first": ("ServiceUnavailableError", "ServiceUnavailableError"),
}
"""How a streamed and a whole answer with a fault end; what is not here is only odd in form."""

STATUSES = {
    "400-model": errors.ModelNotSupportedError,
    "400-suffix": errors.ModelNotSupportedError,
    "400-provider": errors.ModelNotSupportedError,
    "400-kwargs": errors.UnsupportedParamsError,
    "400-params": errors.UnsupportedParamsError,
    "400-strict": errors.UnsupportedParamsError,
    "400-context": errors.ContextWindowExceededError,
    "422": errors.ContextWindowExceededError,
    "500-busy": errors.GatewayTimeoutError,
    "503-loading": errors.ModelLoadingError,
    "529": errors.ServiceUnavailableError,
    "flaky-loading": errors.ModelLoadingError,
}
"""Error statuses whose text makes them more than their number."""

WAITS = {
    "429-int": 1.0,
    "429-float": 0.25,
    "429-zero": 0.0,
    "429-date": 2.0,
    "429-past": 0.0,
    "429-negative": 0.0,
    "429-long": 600.0,
    "429-nan": None,
    "429-garbage": None,
    "429-list": None,
    "429-ms": 0.25,
    "429-reset-seconds": 2.0,
    "429-reset-ms": 0.25,
    "429-reset-span": 90.0,
    "429-reset-epoch": 2.0,
    "429-reset-iso": 2.0,
    "429-no-retry": 1.0,
}


def request(fault: str, *, stream: bool = False, **more: Any) -> HttpRequest:
    body = {
        "model": f"fault-{fault}",
        "messages": [{"role": "user", "content": "Hello there"}],
        **more,
    }
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    headers = (("content-type", "application/json"),)
    return HttpRequest("POST", SANDBOX_URL, headers, msgspec.json.encode(body))


def call(fault: str, *, stream: bool = False, transport: InProcessTransport | None = None) -> Any:
    """Make the call as a client does; returns the completion, raises what it ends with."""
    ends = not fault.startswith(TIMED) or "seconds" in fault
    until = time.monotonic() + (30.0 if ends else 0.05)
    asked = transport or InProcessTransport()
    exchange = asked.open(request(fault, stream=stream), Timeouts(), until)
    try:
        head = exchange.head
        if head.status == 200 and stream and is_event_stream(head):
            return _streamed(exchange, until)
        data = b"".join(iter(lambda: exchange.read(until), b""))
        if head.status != 200:
            raise failures.error_for(failures.read_failure(head.status, head.headers, data))
        if stream:
            raise refuse_unstreamed(head, data)
        return read_answer(data)
    finally:
        exchange.close()


def _streamed(exchange: Exchange, until: float) -> Completion:
    reader = ChunkReader()
    try:
        while not reader.done:
            data = exchange.read(until)
            reader.feed(data)
            if not data:
                reader.finish()
    except APIError as error:
        reader.finish(error)
    if reader.failure:
        raise reader.failure
    return reader.fold.completion()


def outcome(fault: str, *, stream: bool) -> str:
    try:
        call(fault, stream=stream)
    except APIError as error:
        return type(error).__name__
    return OK


FORMS = [name for name, row in FAULTS.items() if row.row != "status" and not row.always]
ONE_ID = ("tools-one-id", "tools-cut", "tools-orphan")
"""Calls that cannot be told by their ids, or are none."""


@pytest.mark.parametrize("name", sorted({*FORMS, *ENDINGS}))
def test_an_answer_with_a_fault_ends_as_its_row_says(name: str) -> None:
    streamed, whole = ENDINGS.get(name, (OK, OK))
    assert outcome(name, stream=True) in streamed.split("|")
    assert outcome(name, stream=False) in whole.split("|")


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("name", [n for n, row in FAULTS.items() if row.row == "status"])
def test_an_error_status_becomes_the_class_of_its_meaning(name: str, stream: bool) -> None:
    with pytest.raises(APIError) as caught:
        call(name, stream=stream)
    status = caught.value.status
    assert status is not None
    assert name.startswith((str(status), "flaky"))
    assert type(caught.value) is STATUSES.get(name, errors.class_for_status(status))
    assert "</" not in caught.value.message


@pytest.mark.parametrize("name", WAITS)
def test_every_form_of_waiting_is_read(name: str) -> None:
    with pytest.raises(errors.RateLimitError) as caught:
        call(name)
    assert caught.value.retry_after == WAITS[name]


def test_every_row_of_the_failures_asked_for_is_there() -> None:
    rows = {row.row for row in FAULTS.values()}
    assert rows == {
        *(f"F{n}" for n in (*range(1, 13), 16, 23, 24, 25, 26, 40)),
        *("drift", "file", "job", "status"),
    }
    assert all(name == row.name and row.says for name, row in FAULTS.items())


@pytest.mark.parametrize("name", [n for n, row in FAULTS.items() if row.row == "F7"])
def test_an_allowed_form_changes_nothing_of_the_answer(name: str) -> None:
    plain = call("tools-in-turn;times=0", stream=True)
    found = call(name, stream=True)
    assert plain.choices[0].finish_reason == found.choices[0].finish_reason == "stop"
    assert len(found.text) == len("".join(found.text))
    assert found.usage


def test_odd_text_arrives_whole() -> None:
    assert "naïve 日本 🎉" in call("split-utf8", stream=True).text
    assert "a\u2028b\u2029c\u0085d" in call("separators", stream=True).text
    assert "caf\ufffd" in call("invalid-utf8", stream=True).text
    assert "x\ufffd" in call("surrogate", stream=True).text


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    "name", [n for n, r in FAULTS.items() if r.row == "F12" and n not in ONE_ID]
)
def test_tool_calls_in_odd_forms_mean_the_same(name: str, stream: bool) -> None:
    calls = call(name, stream=stream).tool_calls
    found = {c.id: msgspec.json.decode(c.function.arguments) for c in calls}
    assert found == {"call_a": {"city": "Paris"}, "call_b": {"city": "Tokyo"}}


def test_two_calls_with_one_id_stay_two() -> None:
    calls = call("tools-one-id", stream=True).tool_calls
    found = [msgspec.json.decode(c.function.arguments) for c in calls]
    assert found == [{"city": "Paris"}, {"city": "Tokyo"}]


def test_a_refusal_that_repeats_the_credential_is_there_to_be_hidden(asker) -> None:
    body = {"model": "org/fault-401-echo", "messages": [{"role": "user", "content": "x"}]}
    reply = asker.post("/v1/chat/completions", body, authorization="Bearer hf_repeated")
    assert reply.status == 401
    assert b"hf_repeated" in reply.body


@pytest.mark.parametrize(("host", "other"), [("127.0.0.1:9", "localhost:9"), ("a", "127.0.0.1")])
def test_a_redirect_leads_to_another_name(asker, host: str, other: str) -> None:
    for status in ("302", "307", "308"):
        body = {"model": f"org/fault-{status}", "messages": [{"role": "user", "content": "x"}]}
        reply = asker.post("/v1/chat/completions", body, host=host)
        place = dict(reply.headers)["location"]
        assert (reply.status, place) == (
            int(status),
            f"http://{other}/elsewhere/org/fault-{status}",
        )


def test_a_truncated_stream_keeps_what_came() -> None:
    with pytest.raises(errors.StreamTruncated) as caught:
        call("truncated", stream=True)
    assert caught.value.text.startswith("[simulated]")


def test_a_passing_fault_fails_so_many_times_then_once_not_and_begins_again() -> None:
    transport = InProcessTransport()

    def seen(fault: str) -> list[str]:
        found = []
        for _ in range(4):
            try:
                call(fault, transport=transport)
                found.append(OK)
            except APIError as error:
                found.append(type(error).__name__)
        return found

    assert seen("flaky-503") == ["ServiceUnavailableError", OK] * 2
    assert seen("503;times=2") == [*["ServiceUnavailableError"] * 2, OK, "ServiceUnavailableError"]


def test_a_fault_can_be_told_how_long_to_wait() -> None:
    assert call("stall;seconds=0.001", stream=True).choices[0].finish_reason == "stop"
    assert call("stall-head;seconds=0.001").choices[0].finish_reason == "stop"


@pytest.mark.parametrize(
    "told", ["503;times=x", "503;seconds=-1", "503;often=2", "503;seconds=nan"]
)
def test_a_fault_in_a_wrong_form_is_refused(told: str) -> None:
    with pytest.raises(UnknownFaultError):
        choose_fault(told, FAULTS)
    with pytest.raises(errors.BadRequestError):
        call(told)


def test_an_unknown_fault_is_refused_with_the_nearest_name(asker) -> None:
    reply = asker.chat("sandbox/fault-truncate")
    assert reply.status == 400
    assert b"Did you mean 'truncated'?" in reply.body
    with pytest.raises(UnknownFaultError):
        Sandbox(fault="nothing")


def test_a_fault_can_be_asked_for_by_header_on_any_route(asker) -> None:
    for path in ("/v1/models", "/api/whoami-v2", "/nowhere"):
        reply = asker.get(path, x_sandbox_fault="502")
        assert (reply.status, dict(reply.headers)["content-type"][:9]) == (502, "text/html")
    body = {"model": "deepseek-ai/DeepSeek-R1", "messages": [{"role": "user", "content": "x"}]}
    assert asker.post("/v1/chat/completions", body, x_sandbox_fault="429").status == 429


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_no_fault_breaks_the_sandbox_on_other_routes(asker, name: str) -> None:
    for path in ("/v1/models", "/api/tasks"):
        reply = asker.get(path, x_sandbox_fault=name)
        assert reply.status == 200 or FAULTS[name].always


def test_a_refused_request_stays_refused_whatever_its_fault(asker) -> None:
    body = {"model": "org/fault-truncated", "messages": []}
    assert asker.post("/v1/chat/completions", body).status == 400
    assert asker.post("/v1/chat/completions", body, authorization="").status == 401


def test_a_sandbox_can_fail_always_and_have_faults_of_its_own(asker, ask_with) -> None:
    own = Fault("teapot", "own", "is a teapot", lambda _: Reply(418), always=True)
    sandbox = ask_with(Sandbox(fault="teapot", faults=[own]))
    assert sandbox.chat("sandbox/demo").status == 418
    assert sandbox.chat("sandbox/fault-503").status == 503
    assert asker.chat("sandbox/fault-teapot").status == 400
