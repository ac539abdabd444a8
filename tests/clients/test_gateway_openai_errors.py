"""What OpenAI's Python client makes of a gateway's errors: the gateway's own, and its upstreams'."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from gateways import in_front_of, rows
from questions import LLAMA, MESSAGES
from running import Gateway

from trunkline.sandbox import SandboxServer

PLAIN = "emulator/sandbox/demo"


@pytest.fixture(scope="module")
def client(gateway: Gateway, key: str) -> Iterator[openai.OpenAI]:
    made = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=key, max_retries=0, timeout=10)
    with made:
        yield made


@pytest.fixture
def with_key(gateway: Gateway) -> Iterator[Callable[..., openai.OpenAI]]:
    """Make a key as wished for, and a client that has it."""
    made: list[openai.OpenAI] = []

    def make(**wish: Any) -> openai.OpenAI:
        key = gateway.new_key(**wish)
        made.append(openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=key, max_retries=0))
        return made[-1]

    yield make
    for client in made:
        client.close()


def create(client: openai.OpenAI, **more: Any) -> Any:
    return client.chat.completions.create(**{"model": LLAMA, "messages": MESSAGES, **more})


def refused(kind: type[openai.APIStatusError], call: Callable[[], Any]) -> openai.APIStatusError:
    """Return the error of a call that has to be refused, which is whole: words, code, request id."""
    with pytest.raises(kind) as caught:
        call()
    error = caught.value
    assert type(error) is kind
    assert error.code
    assert error.type
    assert isinstance(error.body, dict)
    assert error.body["message"]
    assert error.body["request_id"] == error.request_id
    return error


# the gateway's own


def test_a_key_that_is_none_is_an_authentication_error(client: openai.OpenAI) -> None:
    error = refused(
        openai.AuthenticationError, lambda: create(client.with_options(api_key="tl-nobodys"))
    )
    assert error.code == "invalid_api_key"
    assert "tl-nobodys" not in str(error)


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"messages": []}, "messages"),
        ({"n": 0}, "n"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"extra_body": {"api_base": "http://127.0.0.1:9/v1"}}, "api_base"),
        ({"extra_body": {"stream_options": 3}, "stream": True}, "stream_options"),
        ({"model": ""}, "model"),
    ],
)
def test_a_request_that_is_wrong_is_refused_with_its_parameter_and_reaches_nobody(
    client: openai.OpenAI, behind: SandboxServer, more: Any, param: str
) -> None:
    before = len(behind.requests)
    error = refused(openai.BadRequestError, lambda: create(client, **more))
    assert error.param == param
    assert len(behind.requests) == before


def test_a_budget_that_is_too_small_is_402_and_told_in_dollars(
    with_key: Callable[..., openai.OpenAI],
) -> None:
    poor = with_key(budgets=[{"amount": "0.001", "period": "day"}])
    error = refused(openai.APIStatusError, lambda: create(poor, model=PLAIN, max_tokens=5000))
    assert (error.status_code, error.code) == (402, "budget_exceeded")
    assert "$" in error.message
    assert create(poor, model=PLAIN, max_tokens=10).choices


def test_a_model_an_endpoint_or_a_provider_outside_of_a_keys_scope_is_forbidden(
    with_key: Callable[..., openai.OpenAI],
) -> None:
    narrow = with_key(scope={"models": ["emulator/*"], "endpoints": ["chat", "models"]})
    assert create(narrow, model=PLAIN).choices
    error = refused(openai.PermissionDeniedError, lambda: create(narrow))
    assert (error.code, error.param) == ("model_not_allowed", "model")
    assert "emulator/*" in error.message
    embed = narrow.embeddings.create
    refused(openai.PermissionDeniedError, lambda: embed(model="tei/sandbox/tei", input="a"))
    assert {model.id.partition("/")[0] for model in narrow.models.list()} <= {"emulator"}
    groqs = with_key(scope={"providers": ["groq"]})
    assert create(groqs, model=f"{LLAMA}:groq").choices
    error = refused(openai.PermissionDeniedError, lambda: create(groqs, model=f"{LLAMA}:together"))
    assert error.code == "provider_not_allowed"


def test_a_path_that_is_not_there_is_not_found(client: openai.OpenAI) -> None:
    lost = client.with_options(base_url=f"{str(client.base_url).rstrip('/')}/more")
    assert refused(openai.NotFoundError, lambda: create(lost)).code == "not_found"


def test_a_body_that_is_too_large_is_413_and_the_client_goes_on(client: openai.OpenAI) -> None:
    large = [{"role": "user", "content": "word " * 400_000}]
    error = refused(openai.APIStatusError, lambda: create(client, messages=large))
    assert error.status_code == 413
    assert create(client).choices


def test_a_rate_limit_says_when_to_try_again_and_what_is_left(
    with_key: Callable[..., openai.OpenAI],
) -> None:
    limited = with_key(limits={"requests_per_minute": 2})
    raw = limited.chat.completions.with_raw_response.create(model=PLAIN, messages=MESSAGES)
    assert raw.headers["x-ratelimit-limit-requests"] == "2"
    assert raw.headers["x-ratelimit-remaining-requests"] == "1"
    streamed = limited.chat.completions.with_raw_response.create(
        model=PLAIN, messages=MESSAGES, stream=True
    )
    assert streamed.headers["x-ratelimit-remaining-requests"] == "0"
    assert list(streamed.parse())
    error = refused(openai.RateLimitError, lambda: create(limited, model=PLAIN))
    told = error.response.headers
    assert 1 <= int(told["retry-after"]) <= 60
    assert told["x-ratelimit-remaining-requests"] == "0"
    assert told["x-ratelimit-reset-requests"]


def test_calls_at_the_same_time_are_limited_and_a_client_that_tries_again_gets_through(
    with_key: Callable[..., openai.OpenAI], gateway: Gateway
) -> None:
    one = with_key(limits={"concurrency": 1})
    with create(one, model="slow-org/fault-stall;seconds=30", stream=True) as stalled:
        next(iter(stalled))
        error = refused(openai.RateLimitError, lambda: create(one, model=PLAIN))
        assert error.response.headers["retry-after"] == "1"
    assert create(one.with_options(max_retries=3), model=PLAIN).choices
    (row,) = rows(gateway, "slow-org/fault-stall;seconds=30", 1)
    assert (row["status"], row["outcome"]) == (499, "cancelled")


# an upstream's, told through


@pytest.mark.parametrize(
    "told",
    [
        ("400", openai.BadRequestError, 400, None),
        ("400-model", openai.BadRequestError, 400, "model_not_supported"),
        ("400-list", openai.BadRequestError, 400, None),
        ("400-context", openai.BadRequestError, 400, "context_length_exceeded"),
        ("401", openai.InternalServerError, 502, "upstream_credential_refused"),
        ("402", openai.APIStatusError, 402, "upstream_credits_exhausted"),
        ("403", openai.InternalServerError, 502, "upstream_credential_refused"),
        ("404", openai.NotFoundError, 404, None),
        ("409", openai.ConflictError, 409, None),
        ("422-template", openai.UnprocessableEntityError, 422, None),
        ("422-text", openai.UnprocessableEntityError, 422, None),
        ("424", openai.APIStatusError, 424, None),
        ("429", openai.RateLimitError, 429, "upstream_rate_limited"),
        ("500", openai.InternalServerError, 500, None),
        ("500-text", openai.InternalServerError, 500, None),
        ("502", openai.InternalServerError, 502, None),
        ("503-loading", openai.InternalServerError, 503, None),
        ("504", openai.InternalServerError, 504, None),
        ("cut-head", openai.InternalServerError, 502, "upstream_unreachable"),
        ("no-answer", openai.InternalServerError, 502, "upstream_unreachable"),
        ("html-200", openai.InternalServerError, 502, "upstream_invalid_response"),
        ("empty-200", openai.InternalServerError, 502, "upstream_invalid_response"),
    ],
)
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_an_upstreams_errors_raise_this_clients_own_and_are_settled(
    client: openai.OpenAI, gateway: Gateway, told: tuple[str, Any, int, str | None], streamed: bool
) -> None:
    fault, kind, status, code = told
    model = f"{'s' if streamed else 'w'}-org/fault-{fault}"
    error = refused(kind, lambda: create(client, model=model, stream=streamed))
    assert error.status_code == status
    assert error.code == (code or error.code)
    assert "hf_sandbox" not in json.dumps(error.body)
    row = gateway.entry(error.request_id or "")
    assert (row["status"], row["error"], row["attempts"]) == (status, error.code, 1)


@pytest.mark.parametrize(
    ("fault", "waits"),
    [("429-int", True), ("429-float", True), ("429-ms", True), ("503-retry", True), ("429", False)],
)
def test_how_long_to_wait_is_told_through(client: openai.OpenAI, fault: str, waits: bool) -> None:
    error = refused(openai.APIStatusError, lambda: _any(client, f"org/fault-{fault}"))
    assert ("retry-after" in error.response.headers) is waits
    if waits:
        assert int(error.response.headers["retry-after"]) >= 1


def _any(client: openai.OpenAI, model: str) -> None:
    try:
        create(client, model=model)
    except openai.APIStatusError as error:
        raise openai.APIStatusError(str(error), response=error.response, body=error.body) from error


def test_an_upstream_that_is_not_there_is_502_and_costs_nothing(
    client: openai.OpenAI, gateway: Gateway
) -> None:
    error = refused(openai.InternalServerError, lambda: create(client, model="down/some/model"))
    assert (error.status_code, error.code) == (502, "upstream_unreachable")
    assert "The upstream 'down' refused the connection." in str(error.body)
    assert "127.0.0.1" not in str(error.body)
    row = gateway.entry(error.request_id or "")
    assert (row["outcome"], float(row["cost"])) == ("refused", 0.0)


def test_the_gateways_own_account_without_credits_is_not_the_callers_budget(
    client: openai.OpenAI,
) -> None:
    error = refused(openai.APIStatusError, lambda: create(client, model=f"poor/{LLAMA}"))
    assert (error.status_code, error.code) == (402, "upstream_credits_exhausted")
    assert "not a budget of this gateway" in error.message


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_an_upstream_that_does_not_begin_is_a_gateway_time_out(
    client: openai.OpenAI, streamed: bool, behind: SandboxServer
) -> None:
    model = "impatient/org/fault-stall-head;seconds=30"
    error = refused(
        openai.InternalServerError, lambda: create(client, model=model, stream=streamed)
    )
    assert (error.status_code, error.code) == (504, "upstream_timeout")


@pytest.mark.parametrize("fault", ["error-first", "error-mid-stream", "error-tgi", "event-error"])
def test_an_error_within_a_stream_is_raised(client: openai.OpenAI, fault: str) -> None:
    with pytest.raises(openai.APIError):
        list(create(client, model=f"org/fault-{fault}", stream=True))


@pytest.mark.parametrize(
    "fault",
    ["truncated", "truncated-close", "cut", "reset", "cut-event", "broken-json", "no-finish"],
)
def test_a_stream_that_is_cut_is_never_taken_for_a_whole_answer(
    client: openai.OpenAI, gateway: Gateway, fault: str
) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model=f"org/fault-{fault}", messages=MESSAGES, stream=True
    )
    with pytest.raises(openai.APIError) as caught:
        list(raw.parse())
    assert not isinstance(caught.value, openai.APIConnectionError)
    assert "127.0.0.1" not in str(caught.value.body)
    row = gateway.entry(raw.headers["x-request-id"])
    assert row["outcome"] == "truncated"
    assert row["output_tokens"] > 0


def test_a_whole_answer_that_is_cut_is_an_error_and_charged_as_unknown(
    client: openai.OpenAI, gateway: Gateway
) -> None:
    error = refused(
        openai.InternalServerError, lambda: create(client, model="emulator/org/fault-cut-length")
    )
    assert error.status_code == 502
    row = gateway.entry(error.request_id or "")
    assert (row["outcome"], row["cost"], row["token_source"]) == ("failed", None, "unknown")
    assert float(row["charged"]) == float(row["reserved"]) > 0


def test_a_stream_that_stalls_is_ended_by_the_gateway(
    client: openai.OpenAI, gateway: Gateway
) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model="impatient/org/fault-stall;seconds=30", messages=MESSAGES, stream=True
    )
    with pytest.raises(openai.APIError) as caught:
        list(raw.parse())
    assert caught.value.code == "upstream_timeout"
    assert gateway.entry(raw.headers["x-request-id"])["output_tokens"] > 0


@pytest.mark.parametrize(
    "form",
    [
        *("cr-lines", "crlf-lines", "mixed-lines", "split-crlf", "bom", "no-space", "data-lines"),
        *("chatter", "keep-alive", "no-done", "usage-twice", "usage-first", "drip;seconds=0"),
        *("split-utf8", "usage-aside", "usage-everywhere", "separators"),
    ],
)
def test_odd_forms_of_a_stream_read_the_same(client: openai.OpenAI, form: str) -> None:
    whole = create(client, model=f"emulator/org/fault-{form}").choices[0].message.content
    chunks = list(create(client, model=f"emulator/org/fault-{form}", stream=True))
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == whole
    assert "stop" in [c.choices[0].finish_reason for c in chunks if c.choices]


# tried again by the client


@pytest.mark.parametrize("fault", ["flaky-429", "flaky-503", "flaky-500"])
def test_what_the_client_tries_again_has_a_row_for_each_attempt(
    client: openai.OpenAI, gateway: Gateway, fault: str
) -> None:
    model = f"again-org/fault-{fault}"
    answer = create(client.with_options(max_retries=1), model=model)
    assert answer.choices[0].message.content.startswith("[simulated]")
    first, second = rows(gateway, model, 2)
    assert first["id"] != second["id"]
    assert first["status"] >= 429
    assert (second["status"], second["outcome"]) == (200, "ok")


def test_what_is_wrong_with_a_request_is_not_tried_again(
    client: openai.OpenAI, gateway: Gateway
) -> None:
    model = "once-org/fault-422"
    refused(
        openai.UnprocessableEntityError,
        lambda: create(client.with_options(max_retries=3), model=model),
    )
    assert len(rows(gateway, model, 1)) == 1


def test_a_model_that_the_router_does_not_list_is_not_found(
    behind: SandboxServer, tmp_path: Path
) -> None:
    with in_front_of(behind, tmp_path) as gateway:
        gateway.config.write_text(gateway.config.read_text().replace('"pass"', '"refuse"', 1))
        gateway.admin("POST", "/reload")
        with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.new_key()) as client:
            error = refused(openai.NotFoundError, lambda: create(client, model=f"{LLAMA}t"))
            assert error.code == "model_not_found"
            assert LLAMA in error.message
