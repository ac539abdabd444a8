"""A route's targets in their order: who answers where the first does not, and what never moves."""

from __future__ import annotations

import re
from collections.abc import Iterator

import openai
import pytest
from gateways import in_front_of
from questions import LLAMA, MESSAGES
from running import Gateway

from trunkline.sandbox import SandboxServer

MOVING = (
    "429",
    "500",
    "503",
    "504",
    "401",
    "400-model",
    "cut-head",
    "no-answer",
    "empty-200",
    "html-200",
)
"""Faults of a first target after which the second is asked."""
MOVING_STREAMED = ("error-first", "json-error-200", "stall-first;seconds=30", "reset-at-once")
ONCE = ("429", "401", "400-model", "slow-first")
"""Those of them after which the first is not asked once more."""
STAYING = ("400", "422-template", "402", "409", "413")
"""What another target would not make better, or what only the operator's purse would."""
LATER = ("error-mid-stream", "truncated", "cut", "stall;seconds=30", "broken-json")
"""What goes wrong after the client has got something."""


def _route(name: str, *targets: tuple[str, str]) -> str:
    rows = "".join(f'{{upstream = "{u}", model = "{m}"}},' for u, m in targets)
    return f'[routes."{name}"]\ntargets = [{rows}]\n'


ROUTES = "".join(
    _route(fault, ("impatient", f"org/fault-{fault}"), ("emulator", "sandbox/second"))
    for fault in (*MOVING, *MOVING_STREAMED, *STAYING, *LATER)
) + "".join(
    [
        _route("dead-first", ("down", "any"), ("emulator", "sandbox/second")),
        _route("slow-first", ("impatient", "org/fault-stall-head;seconds=30"), ("emulator", "sandbox/second")),
        _route("third", ("down", "any"), ("impatient", "org/fault-503"), ("huggingface", LLAMA)),
        _route("none", ("down", "none"), ("emulator", "org/fault-503")),
        _route("counted", ("down", "counted"), ("emulator", "sandbox/second")),
        _route("poor-first", ("poor", "org/any"), ("emulator", "sandbox/second")),
    ]
)  # fmt: skip


@pytest.fixture(scope="module")
def gateway(behind: SandboxServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with a route for each fault, named after it."""
    with in_front_of(behind, tmp_path_factory.mktemp("gateway"), ROUTES) as started:
        yield started


@pytest.fixture(scope="module")
def client(gateway: Gateway, key: str) -> Iterator[openai.OpenAI]:
    made = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=key, max_retries=0, timeout=10)
    with made:
        yield made


def ask(client: openai.OpenAI, model: str, *, streamed: bool) -> tuple[str, str]:
    """Return what an answer says, and its request id."""
    raw = client.chat.completions.with_raw_response
    if not streamed:
        whole = raw.create(model=model, messages=MESSAGES)
        return whole.parse().choices[0].message.content or "", whole.headers["x-request-id"]
    stream = raw.create(model=model, messages=MESSAGES, stream=True)
    parts = [c.choices[0].delta.content or "" for c in stream.parse() if c.choices]
    return "".join(parts), stream.headers["x-request-id"]


def attempts(gateway: Gateway) -> dict[tuple[str, str], float]:
    """Return how many exchanges with each upstream ended in which way, as the metrics have them."""
    _, _, text = gateway.ask("GET", "/metrics", key=gateway.admin_key)
    found = re.findall(
        r'^trunkline_upstream_attempts_total\{outcome="(.*?)",upstream="(.*?)"\} (\S+)$'
        r'|^trunkline_upstream_attempts_total\{upstream="(.*?)",outcome="(.*?)"\} (\S+)$',
        text.decode(),
        re.MULTILINE,
    )
    return {(a[1] or a[3], a[0] or a[4]): float(a[2] or a[5]) for a in found}


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("model", [*MOVING, "slow-first", "dead-first"])
def test_the_second_target_answers_where_the_first_does_not(
    client: openai.OpenAI, gateway: Gateway, model: str, streamed: bool
) -> None:
    text, request_id = ask(client, model, streamed=streamed)
    assert text.startswith("[simulated]")
    row = gateway.entry(request_id)
    assert (row["status"], row["outcome"], row["error"]) == (200, "ok", None)
    assert (row["upstream"], row["target_model"]) == ("emulator", "sandbox/second")
    assert row["model"] == model
    assert [one["target"] for one in row["tries"]][-1] == "emulator/sandbox/second"
    assert row["tries"][-1]["role"] == ("failover" if len(row["tries"]) > 1 else "first")
    assert len(row["tries"]) <= (2 if model in ONCE else 3)
    assert float(row["cost"]) > 0


@pytest.mark.parametrize("model", MOVING_STREAMED)
def test_a_stream_that_fails_before_it_says_anything_is_replaced(
    client: openai.OpenAI, gateway: Gateway, model: str
) -> None:
    text, request_id = ask(client, model, streamed=True)
    assert text.startswith("[simulated]")
    row = gateway.entry(request_id)
    assert (row["upstream"], row["outcome"]) == ("emulator", "ok")
    assert (row["tries"][-1]["role"], len(row["tries"]) <= 3) == ("failover", True)


def test_a_kept_connection_that_died_is_replaced_before_another_target_is_asked(
    client: openai.OpenAI, gateway: Gateway
) -> None:
    ask(client, "dead-first", streamed=False)  # leaves a connection to the sandbox idle
    _, request_id = ask(client, "no-answer", streamed=False)
    row = gateway.entry(request_id)
    assert (row["attempts"], row["upstream"]) == (len(row["tries"]) + 1, "emulator")


def test_each_exchange_is_counted_by_its_upstream_and_how_it_ended(
    client: openai.OpenAI, gateway: Gateway
) -> None:
    before = attempts(gateway)
    ask(client, "counted", streamed=True)
    after = attempts(gateway)
    new = {name: n - before.get(name, 0) for name, n in after.items() if n != before.get(name, 0)}
    failed = {name: n for name, n in new.items() if name[1] != "ok"}
    assert new["emulator", "ok"] == 1
    assert failed == {("down", "APIConnectionError"): 2}


def test_the_third_target_answers_where_two_do_not_and_is_hugging_faces(
    client: openai.OpenAI, gateway: Gateway
) -> None:
    text, request_id = ask(client, "third", streamed=True)
    assert text.startswith("[simulated]")
    row = gateway.entry(request_id)
    assert (row["upstream"], row["target_model"]) == ("huggingface", LLAMA)


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("model", [*STAYING, "poor-first"])
def test_what_is_the_callers_own_fault_or_asks_for_money_goes_nowhere_else(
    client: openai.OpenAI, behind: SandboxServer, gateway: Gateway, model: str, streamed: bool
) -> None:
    before = len(behind.requests)
    with pytest.raises(openai.APIStatusError) as caught:
        ask(client, model, streamed=streamed)
    assert len(behind.requests) == before + 1
    row = gateway.entry(caught.value.request_id or "")
    assert (row["attempts"], row["outcome"]) == (1, "refused")
    assert (row["status"], float(row["cost"])) == (caught.value.status_code, 0)


@pytest.mark.parametrize("model", LATER)
def test_nothing_moves_once_the_client_has_got_something(
    client: openai.OpenAI, behind: SandboxServer, gateway: Gateway, model: str
) -> None:
    before = len(behind.requests)
    raw = client.chat.completions.with_raw_response.create(
        model=model, messages=MESSAGES, stream=True
    )
    with pytest.raises(openai.APIError):
        list(raw.parse())
    assert len(behind.requests) == before + 1
    row = gateway.entry(raw.headers["x-request-id"])
    assert (row["attempts"], row["status"]) == (1, 200)
    assert row["outcome"] in ("truncated", "failed")
    assert row["output_tokens"] > 0


def test_where_none_answers_it_is_told_of_each(client: openai.OpenAI, gateway: Gateway) -> None:
    with pytest.raises(openai.InternalServerError) as caught:
        ask(client, "none", streamed=False)
    assert (caught.value.status_code, caught.value.code) == (503, "no_target_left")
    assert gateway.entry(caught.value.request_id or "")["upstream"] == "emulator"


def test_routes_are_listed_by_their_own_names(client: openai.OpenAI) -> None:
    listed = {model.id: model.owned_by for model in client.models.list()}
    assert listed["third"] == listed["dead-first"] == "trunkline"
    assert client.models.retrieve("third").id == "third"
