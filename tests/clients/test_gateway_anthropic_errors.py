"""What Anthropic's Python client makes of a gateway's errors, and what becomes of calls that it leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import pytest
from gateways import in_front_of, rows
from questions import SAID
from running import Gateway

from trunkline.sandbox import SandboxServer

pytestmark = pytest.mark.slow

MESSAGES: Any = [{"role": "user", "content": SAID}]
PLAIN = "emulator/sandbox/demo"
Soon = Callable[[Callable[[], object]], bool]


ROUTE = """
[routes."claude-coder"]
targets = [
    { upstream = "impatient", model = "org/fault-503" },
    { upstream = "emulator", model = "sandbox/second" },
]
"""


@pytest.fixture(scope="module")
def gateway(behind: SandboxServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with a route that has a name of Claude's."""
    with in_front_of(behind, tmp_path_factory.mktemp("gateway"), ROUTE) as started:
        yield started


@pytest.fixture(scope="module")
def client(gateway: Gateway, key: str) -> Iterator[anthropic.Anthropic]:
    made = anthropic.Anthropic(base_url=gateway.url, api_key=key, max_retries=0, timeout=10)
    with made:
        yield made


@pytest.fixture
def with_key(gateway: Gateway) -> Iterator[Callable[..., anthropic.Anthropic]]:
    """Make a key as wished for, and a client that has it."""
    made: list[anthropic.Anthropic] = []

    def make(**wish: Any) -> anthropic.Anthropic:
        key = gateway.new_key(**wish)
        made.append(anthropic.Anthropic(base_url=gateway.url, api_key=key, max_retries=0))
        return made[-1]

    yield make
    for client in made:
        client.close()


def create(client: anthropic.Anthropic, **more: Any) -> Any:
    asked: Any = {"model": PLAIN, "messages": MESSAGES, "max_tokens": 100, **more}
    return client.messages.create(**asked)


def drain(client: anthropic.Anthropic, model: str) -> Any:
    with client.messages.stream(model=model, messages=MESSAGES, max_tokens=100) as events:
        return events.get_final_message()


def refused(kind: type[anthropic.APIStatusError], call: Callable[[], Any]) -> Any:
    """Return the error of a call that has to be refused, which is whole: words, type, request id."""
    with pytest.raises(kind) as caught:
        call()
    error = caught.value
    assert type(error) is kind
    assert error.type
    assert error.error_code
    assert isinstance(error.body, dict)
    assert error.body["type"] == "error"
    assert error.body["error"]["message"]
    assert error.body["request_id"] == error.request_id
    return error


UPSTREAMS: dict[str, tuple[type[anthropic.APIStatusError], str]] = {
    "400": (anthropic.BadRequestError, "invalid_request_error"),
    "400-context": (anthropic.BadRequestError, "invalid_request_error"),
    "401": (anthropic.InternalServerError, "api_error"),
    "402": (anthropic.PaymentRequiredError, "billing_error"),
    "404": (anthropic.NotFoundError, "not_found_error"),
    "413": (anthropic.ContentTooLargeError, "request_too_large"),
    "422": (anthropic.UnprocessableEntityError, "invalid_request_error"),
    "429-int": (anthropic.RateLimitError, "rate_limit_error"),
    "500": (anthropic.InternalServerError, "api_error"),
    "503": (anthropic.ServiceUnavailableError, "overloaded_error"),
    "504": (anthropic.GatewayTimeoutError, "timeout_error"),
    "529": (anthropic.OverloadedError, "overloaded_error"),
    "cut-head": (anthropic.InternalServerError, "api_error"),
    "html-200": (anthropic.InternalServerError, "api_error"),
    "empty-200": (anthropic.InternalServerError, "api_error"),
}


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("fault", UPSTREAMS)
def test_an_upstreams_error_is_one_of_its_own(
    client: anthropic.Anthropic, gateway: Gateway, fault: str, streamed: bool
) -> None:
    kind, named = UPSTREAMS[fault]
    model = f"emulator/errors/fault-{fault}"
    call = (lambda: drain(client, model)) if streamed else (lambda: create(client, model=model))
    error = refused(kind, call)
    assert error.type == named
    assert gateway.entry(error.request_id)["status"] == error.status_code


LATER = {
    "error-mid-stream": "Internal server error",
    "event-error": "",
    "truncated": "ended before the answer did",
    "no-finish": "ended before the answer did",
    "cut": "ended before the answer did",
    "reset": "ended before the answer did",
    "tools-orphan": "",
}


@pytest.mark.parametrize("fault", LATER)
def test_what_goes_wrong_within_a_stream_is_raised_in_it(
    client: anthropic.Anthropic, gateway: Gateway, fault: str
) -> None:
    model = f"emulator/later/fault-{fault}"
    with pytest.raises(anthropic.APIError) as caught:
        drain(client, model)
    assert LATER[fault] in str(caught.value)
    (row,) = rows(gateway, model, 1)
    assert row["outcome"] in ("failed", "truncated")


@pytest.mark.parametrize(
    "fault",
    ["no-done", "crlf-lines", "bom", "data-lines", "chatter", "split-utf8", "separators",
     "keep-alive", "drip", "usage-apart", "usage-first", "usage-everywhere", "usage-aside"],
)  # fmt: skip
def test_streams_of_odd_forms_are_whole(client: anthropic.Anthropic, fault: str) -> None:
    message = drain(client, f"emulator/odd/fault-{fault}")
    assert message.content[0].text.count("[simulated] You said") == 1
    assert message.stop_reason == "end_turn"
    assert message.usage.output_tokens > 1
    assert message.usage.input_tokens > 1


def test_tokens_that_nobody_told_are_an_estimate(
    client: anthropic.Anthropic, gateway: Gateway
) -> None:
    raw = client.messages.with_raw_response.create(
        model="emulator/silent/fault-usage-missing", messages=MESSAGES, max_tokens=100
    )
    usage = raw.parse().usage
    assert usage.to_dict()["estimated"] is True
    assert usage.output_tokens > 0
    assert gateway.entry(raw.request_id or "")["token_source"] == "estimated"


def test_what_the_gateway_itself_refuses_is_told_so(
    with_key: Callable[..., anthropic.Anthropic], gateway: Gateway
) -> None:
    poor = with_key(budgets=[{"amount": "0", "period": "day"}])
    assert refused(anthropic.PaymentRequiredError, lambda: create(poor)).type == "billing_error"
    seldom = with_key(limits={"requests_per_minute": 1})
    create(seldom)
    limited = refused(anthropic.RateLimitError, lambda: create(seldom))
    assert limited.response.headers["retry-after"]
    for scope in ({"endpoints": ["chat"]}, {"models": ["other/*"]}, {"providers": ["groq"]}):
        scoped = with_key(scope=scope)
        refused(anthropic.PermissionDeniedError, lambda scoped=scoped: create(scoped))
    with anthropic.Anthropic(base_url=gateway.url, api_key="tl-wrong", max_retries=0) as stranger:
        refused(anthropic.AuthenticationError, lambda: create(stranger))
    assert create(with_key(scope={"endpoints": ["messages"]})).stop_reason == "end_turn"


def test_a_wrong_request_is_refused_by_its_place_and_never_sent(
    client: anthropic.Anthropic, behind: SandboxServer, gateway: Gateway
) -> None:
    model = "emulator/wrong"
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "x"}
    stray: Any = [
        *MESSAGES,
        {"role": "assistant", "content": "x"},
        {"role": "user", "content": [result]},
    ]
    error = refused(anthropic.BadRequestError, lambda: create(client, model=model, messages=stray))
    assert "messages.2.content.0.tool_use_id" in error.api_message
    search = [{"type": "web_search_20250305", "name": "web_search"}]
    error = refused(anthropic.BadRequestError, lambda: create(client, model=model, tools=search))
    assert "web_search_20250305" in error.api_message
    assert gateway.entry(f"req_{create(client).id.removeprefix('msg_')}")["status"] == 200
    assert model not in [row["model"] for row in gateway.ledger()]
    assert "wrong" not in [one.json["model"] for one in behind.requests if one.method == "POST"]


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_a_route_by_claudes_name_goes_to_its_next_target_where_the_first_fails(
    client: anthropic.Anthropic, gateway: Gateway, streamed: bool
) -> None:
    name = "claude-coder"
    message = drain(client, name) if streamed else create(client, model=name)
    assert message.model == name
    assert message.content[0].text.startswith("[simulated]")
    row = gateway.entry(f"req_{message.id.removeprefix('msg_')}")
    assert (row["model"], row["target_model"]) == (name, "sandbox/second")
    assert row["attempts"] == len(row["tries"]) > 1
    assert name in [model.id for model in client.models.list()]


def hung_up(behind: SandboxServer, model: str) -> bool:
    name = model.removeprefix("emulator/")
    return any(
        one.hung_up for one in behind.requests if one.method == "POST" and one.json["model"] == name
    )


def test_a_stream_that_is_left_ends_the_upstreams_work_and_is_settled_by_what_was_delivered(
    client: anthropic.Anthropic, gateway: Gateway, behind: SandboxServer, soon: Soon
) -> None:
    model = "emulator/messages-middle/fault-stall;seconds=30"
    with client.messages.stream(model=model, messages=MESSAGES, max_tokens=100) as events:
        assert next(iter(events.text_stream))
    assert soon(lambda: hung_up(behind, model))
    (row,) = rows(gateway, model, 1)
    assert (row["status"], row["outcome"], row["endpoint"]) == (499, "cancelled", "messages")
    assert row["output_tokens"] > 0
    assert float(row["cost"]) > 0


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_a_task_that_is_cancelled_before_the_answer_ends_the_upstreams_work(
    gateway: Gateway, key: str, behind: SandboxServer, soon: Soon, streamed: bool
) -> None:
    model = f"emulator/messages-before-{streamed}/fault-stall-head;seconds=30".lower()
    name = model.removeprefix("emulator/")

    async def story() -> None:
        async with anthropic.AsyncAnthropic(base_url=gateway.url, api_key=key) as client:
            asked: Any = {"model": model, "messages": MESSAGES, "max_tokens": 100}
            task = asyncio.create_task(client.messages.create(**asked, stream=streamed))
            while not any(r.json["model"] == name for r in behind.requests if r.method == "POST"):
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(story())
    assert soon(lambda: hung_up(behind, model))
    (row,) = rows(gateway, model, 1)
    assert (row["status"], row["outcome"]) == (499, "cancelled")
    assert row["cost"] is None
