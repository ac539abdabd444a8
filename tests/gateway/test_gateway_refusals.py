"""What clients are told of errors: the right status and code, a hint, and no secret."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline import errors
from trunkline.dialects.failures import error_for, failure_in_stream, read_failure
from trunkline.dialects.openai_server import RequestError
from trunkline.gateway.guard import Refusal
from trunkline.gateway.refusals import (
    Fault,
    of_bytes,
    of_error,
    of_refusal,
    of_request,
    openai_broken,
    tell,
)
from trunkline.wire.http1_read import HttpError


class Answered:
    """An exchange that keeps what it is answered."""

    id = "req_1"
    page = None
    voice = None

    def __init__(self) -> None:
        self.status = 0
        self.lines = b""
        self.body = b""

    def answer_bytes(self, status: int, lines: bytes, body: bytes, *, keep: bool = True) -> None:
        self.status, self.lines, self.body = status, lines, body


def told(fault: Fault) -> tuple[int, dict[str, str], dict[str, Any]]:
    exchange = Answered()
    tell(exchange, fault)  # type: ignore[arg-type]
    headers = dict(line.split(": ", 1) for line in exchange.lines.decode().split("\r\n") if line)
    return exchange.status, headers, json.loads(exchange.body)["error"]


def upstream(status: int, body: object = None, **headers: str) -> errors.APIError:
    """The error of an upstream's answer."""
    data = json.dumps(body or {"error": {"message": "Said so."}}).encode()
    return error_for(read_failure(status, headers, data))


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (upstream(400), 400, "upstream_error"),
        (upstream(401), 502, "upstream_credential_refused"),
        (upstream(402), 402, "upstream_credits_exhausted"),
        (upstream(403), 502, "upstream_credential_refused"),
        (upstream(404), 404, "upstream_error"),
        (upstream(408), 408, "upstream_timeout"),
        (upstream(422), 422, "upstream_error"),
        (upstream(429), 429, "upstream_rate_limited"),
        (upstream(429, {"error": {"message": "x", "code": "tpm"}}), 429, "tpm"),
        (upstream(500), 500, "upstream_error"),
        (upstream(503), 503, "upstream_error"),
        (upstream(504), 504, "upstream_timeout"),
        (upstream(529), 529, "upstream_error"),
        (upstream(400, {"error": {"message": "maximum context length is 5"}}), 400,
         "context_length_exceeded"),
        (upstream(400, {"error": {"message": "no", "code": "model_not_supported"}}), 400,
         "model_not_supported"),
        (errors.APIConnectionError("refused"), 502, "upstream_unreachable"),
        (errors.Timeout("late"), 504, "upstream_timeout"),
        (errors.StreamTruncated("cut"), 502, "upstream_truncated"),
        (errors.InvalidResponseError("odd"), 502, "upstream_invalid_response"),
        (errors.NotFoundError("no such model"), 404, "upstream_error"),
        (errors.InvalidInputError("wrong"), 400, "invalid_request"),
    ],
)  # fmt: skip
def test_an_upstreams_error_keeps_its_meaning(
    error: errors.APIError, status: int, code: str
) -> None:
    fault = of_error(error)
    assert (fault.status, fault.code) == (status, code)
    answered, headers, body = told(fault)
    assert answered == status
    assert headers["content-type"] == "application/json"
    assert body["request_id"] == "req_1"
    assert (body["code"], bool(body["message"]), bool(body["type"])) == (code, True, True)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, "invalid_request_error"), (401, "authentication_error"), (402, "insufficient_quota"),
     (403, "permission_error"), (404, "not_found_error"), (413, "invalid_request_error"),
     (429, "rate_limit_error"), (500, "api_error"), (503, "api_error"), (504, "timeout_error")],
)  # fmt: skip
def test_an_error_has_openais_type(status: int, kind: str) -> None:
    assert told(Fault(status, "x", "m"))[2]["type"] == kind


@pytest.mark.parametrize(
    ("seconds", "header"),
    [(None, None), (0.0, "1"), (0.2, "1"), (7.4, "7"), (120.0, "120"), (1e9, "1000000000")],
)
def test_when_to_try_again_is_a_whole_number_of_seconds(
    seconds: float | None, header: str | None
) -> None:
    assert told(Fault(429, "x", "m", retry_after=seconds))[1].get("retry-after") == header


@pytest.mark.parametrize("value", ["5", "-1", "1e9", "nan", "inf", "soon", "", "1e400"])
def test_whatever_an_upstream_says_of_trying_again_can_be_told(value: str) -> None:
    status, headers, _ = told(of_error(upstream(429, **{"retry-after": value})))
    assert status == 429
    assert headers.get("retry-after", "1").isdigit()


def test_a_401_says_how_to_authenticate() -> None:
    assert told(Fault(401, "x", "m"))[1]["www-authenticate"] == "Bearer"
    assert "www-authenticate" not in told(Fault(403, "x", "m"))[1]


def test_the_gateways_own_credential_is_not_the_clients_affair() -> None:
    body = {"error": {"message": "Invalid token hf_abc", "code": "bad hf_abc"}}
    for status in (401, 403):
        fault = of_error(upstream(status, body))
        assert "hf_abc" not in fault.message + fault.code
        assert "operator" in fault.message
    assert "not a budget of this gateway" in of_error(upstream(402)).message


SECRET = "key-secret-123"


@given(st.text(max_size=20), st.text(max_size=20))
def test_no_secret_comes_back_wherever_an_upstream_repeats_it(before: str, after: str) -> None:
    echo = f"{before}{SECRET}{after}"
    body = {"error": {"message": echo, "code": echo, "type": echo, "param": echo}}
    for status in (400, 401, 404, 429, 500, 503):
        fault = of_error(upstream(status, body), hide=(SECRET, "other"))
        assert SECRET not in repr(fault)
        assert SECRET not in json.dumps(told(fault)[2])
    stream = of_error(error_for(failure_in_stream(json.dumps(body).encode())), hide=(SECRET,))
    assert SECRET.encode() not in openai_broken(stream, "req_1")


def test_an_upstreams_words_are_repeated_in_measure() -> None:
    long = "x" * 100_000
    body = {"error": {"message": long, "code": long, "param": long}}
    fault = of_error(upstream(400, body))
    assert len(fault.message) <= 2000
    assert len(fault.code) <= 200
    assert len(fault.param or "") <= 200


def test_the_parameter_and_the_provider_are_passed_on() -> None:
    error = upstream(400, {"error": {"message": "no", "param": "top_k"}})
    error.provider = "groq"
    _, _, body = told(of_error(error))
    assert (body["param"], body["provider"]) == ("top_k", "groq")
    odd = upstream(400, {"error": {"message": "no", "param": ["top_k"]}})
    assert told(of_error(odd))[2]["param"] is None


def test_an_error_in_a_stream_is_its_last_event_and_says_it_is_partial() -> None:
    raw = openai_broken(of_error(errors.StreamTruncated("It broke\r\n\r\noff.")), "req_1")
    assert raw.endswith(b"\n\n")
    assert raw.count(b"\n\n") == 1
    assert b"[DONE]" not in raw
    body = json.loads(raw.removeprefix(b"data: "))["error"]
    assert (body["code"], body["partial"], body["request_id"]) == (
        "upstream_truncated",
        True,
        "req_1",
    )


def test_a_wrong_request_a_refusal_and_broken_bytes_are_told() -> None:
    assert of_request(RequestError("No.", param="n", status=404)) == Fault(
        404, "invalid_request", "No.", "n"
    )
    fault = of_refusal(Refusal(429, "limit", "Too fast.", "Wait.", retry_after=3.0))
    assert (fault.status, fault.message, fault.retry_after) == (429, "Too fast. Wait.", 3.0)
    for status in (400, 408, 413, 414, 429, 431, 503, 505):
        fault = of_bytes(HttpError("it is odd", status))
        assert fault.status == status
        assert "it is odd" in fault.message
        assert (fault.retry_after is not None) == (status in (429, 503))
