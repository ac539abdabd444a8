"""Calls made for real, against a sandbox whose providers are slow, broken or odd."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from trunkline import AsyncClient
from trunkline.bench.asking import Asker, steps
from trunkline.bench.canaries import built_in
from trunkline.bench.figures import figures
from trunkline.bench.measuring import Wishes, bounds_of, plan_for, result
from trunkline.bench.prompts import Prompt, read_prompts
from trunkline.bench.spending import Purse
from trunkline.bench.values import Answer, Run, Settings
from trunkline.catalog import Catalog, read_models
from trunkline.errors import AuthenticationError, InvalidInputError, NotFoundError
from trunkline.sandbox import Sandbox, SandboxServer, serve_in_thread
from trunkline.settings import read_settings

LLAMA = "meta-llama/Llama-3.1-8B-Instruct"
GREETING = read_prompts(b"Say hello.", "p.txt")
NOW = datetime(2026, 11, 29, tzinfo=UTC)


@pytest.fixture(scope="module")
def server() -> Iterator[SandboxServer]:
    at = {
        "novita": "drift-words",
        "deepinfra": "drift-tools",
        "sambanova": "503",
        "groq": "slow;seconds=0.3",
        "scaleway": "cut",
        "nscale": "drift-context",
        "fireworks-ai": "endless",
    }
    with serve_in_thread(Sandbox(at=at)) as running:
        yield running


@pytest.fixture(scope="module")
def catalog(server: SandboxServer) -> Catalog:
    from trunkline import Client

    with Client(settings=read_settings(server.environment)) as client:
        return client.catalog()


def wishes(model: str = LLAMA, prompts: tuple[Prompt, ...] = GREETING, **more: Any) -> Wishes:
    made = Settings(more.pop("runs", 1), more.pop("concurrency", 4), 64, more.pop("timeout", 30.0))
    return Wishes(model, prompts, made, **more)


def measured(
    server: SandboxServer, catalog: Catalog, wished: Wishes, cap: str | None = None
) -> Run:
    plan, left_out = plan_for(wished, catalog)
    purse = Purse(None if cap is None else Decimal(cap))
    client = AsyncClient("hf_sandbox", settings=read_settings(server.environment))

    async def ask() -> Asker:
        async with client:
            asker = Asker(client, plan, purse, lambda _: None)
            await asker.ask(list(steps(plan)))
        return asker

    asker = asyncio.run(ask())
    assert purse.held == 0
    notes = [f"{asker.unasked} unasked"]
    return result(plan, left_out, asker.samples, purse, began=NOW, ended=NOW, notes=notes)


def test_all_live_providers_of_known_price_are_asked(
    server: SandboxServer, catalog: Catalog
) -> None:
    run = measured(server, catalog, wishes(runs=2))
    assert [place.provider for place in run.asked] == ["deepinfra", "novita", "cerebras"]
    assert [(p.provider, p.skipped) for p in run.places if p.skipped] == [
        ("featherless-ai", "its price is not known")
    ]
    assert len(run.samples) == 6
    for sample in run.samples:
        assert sample.error is None
        assert sample.served_by == sample.provider
        assert sample.first_token is not None
        assert 0 < sample.first_token <= sample.seconds
        assert sample.answer is not None and sample.answer.text
        place = next(p for p in run.places if p.provider == sample.provider)
        assert place.input_price is not None and place.output_price is not None
        exact = sample.input_tokens * place.input_price + sample.output_tokens * place.output_price
        assert sample.cost == exact / 1_000_000
    assert run.spent == sum(sample.cost or 0 for sample in run.samples)


def test_calls_are_streamed_at_temperature_0_and_tried_once(
    server: SandboxServer, catalog: Catalog
) -> None:
    before = len(server.requests)
    model = "meta-llama/Llama-3.3-70B-Instruct"
    run = measured(server, catalog, wishes(model, providers=("sambanova", "together")))
    asked = [request.json for request in list(server.requests)[before:]]
    assert len(asked) == 2
    assert all(body["temperature"] == 0 and body["stream"] for body in asked)
    rows = {row.provider: row for row in figures(run)}
    assert rows["sambanova"].errors == {"ServiceUnavailableError": 1}
    assert rows["together"].failed == 0
    assert run.unsure == 0  # a refusal costs nothing


def test_what_an_error_says_is_told_without_secrets(
    server: SandboxServer, catalog: Catalog
) -> None:
    from trunkline.bench.asking import _failed
    from trunkline.bench.values import Sample
    from trunkline.errors import BadRequestError

    failed = _failed(
        Sample("a", "b", 0, 0.0, 0.0), BadRequestError("no hf_abcdefghijk", status=400)
    )
    assert failed.message == "no [hidden]"
    assert (failed.outcome, failed.cost) == ("good", 0)


def test_what_was_never_sent_cost_nothing(server: SandboxServer, catalog: Catalog) -> None:
    odd = Prompt("odd", ({"role": "king", "content": "Hi"},))
    run = measured(server, catalog, wishes(prompts=(odd,), providers=("novita",)))
    assert run.samples[0].error == "InvalidInputError"
    assert (run.samples[0].cost_is, run.unsure) == ("Nothing was sent.", 0)


@pytest.mark.slow
def test_a_slow_provider_is_seen_to_be_slow(server: SandboxServer, catalog: Catalog) -> None:
    model = "meta-llama/Llama-3.3-70B-Instruct"
    run = measured(server, catalog, wishes(model, providers=("groq", "together")))
    rows = {row.provider: row for row in figures(run)}
    assert rows["groq"].first_token.p50 >= 0.3


def test_an_answer_that_breaks_off_counts_at_the_most_it_can_cost(
    server: SandboxServer, catalog: Catalog
) -> None:
    model = "meta-llama/Llama-3.3-70B-Instruct"
    wished = wishes(model, providers=("scaleway",))
    run = measured(server, catalog, wished)
    assert run.samples[0].error == "StreamTruncated"
    assert run.samples[0].cost is None
    assert (run.spent, run.unsure) == (0, bounds_of(plan_for(wished, catalog)[0])[1].most)


@pytest.mark.slow
def test_who_goes_on_far_beyond_the_limit_is_hung_up_on(
    server: SandboxServer, catalog: Catalog
) -> None:
    model = "meta-llama/Llama-3.3-70B-Instruct"
    run = measured(server, catalog, wishes(model, providers=("fireworks-ai",)))
    assert run.samples[0].error == "InvalidResponseError"
    assert "beyond max_tokens" in run.samples[0].message
    assert run.unsure > 0


def test_what_makes_numbers_other_than_they_look_is_said(catalog: Catalog) -> None:
    from bench_runs import sample

    plan, _ = plan_for(wishes(), catalog)
    silent = sample("novita", text="")
    silent = msgspec.structs.replace(silent, answer=Answer("", finish="length"))
    made = [
        silent,
        sample("cerebras", served_by="groq"),
        sample("deepinfra", served_by="deepinfra"),
    ]
    run = result(plan, (), made, Purse(None), began=NOW, ended=NOW)
    assert [note[:40] for note in run.notes] == [
        "1 answers of novita reached the limit on",
        "Calls to cerebras were answered by groq.",
    ]


def test_who_answers_otherwise_is_found_by_the_canaries(
    server: SandboxServer, catalog: Catalog
) -> None:
    model = "meta-llama/Llama-3.3-70B-Instruct"
    names = ("cerebras", "together", "novita", "sambanova")
    run = measured(server, catalog, wishes(model, built_in(600), providers=names))
    (odd,) = run.odd
    assert odd.provider == "novita"
    finding = next(f for f in odd.findings if f.prompt == "prose")
    assert set(finding.peers) == {"cerebras", "together"}
    rows = {row.provider: row for row in figures(run)}
    assert rows["sambanova"].failed == rows["sambanova"].calls  # who fails is no peer
    assert rows["novita"].exact < 0.2 < rows["together"].exact
    assert any("held against no place" in note for note in run.notes)


def test_a_broken_template_of_tools_is_found(server: SandboxServer, catalog: Catalog) -> None:
    tool = tuple(prompt for prompt in built_in(0) if prompt.name == "tool")
    run = measured(server, catalog, wishes(prompts=tool, providers=("cerebras", "deepinfra")))
    assert [(odd.provider, odd.findings[0].what) for odd in run.odd] == [
        ("deepinfra", "the call is written as text")
    ]


def test_a_context_that_is_cut_short_is_found(server: SandboxServer, catalog: Catalog) -> None:
    model = "meta-llama/Llama-3.3-70B-Instruct"
    long = tuple(prompt for prompt in built_in(1_000) if prompt.name == "needle")
    names = ("cerebras", "together", "nscale")
    run = measured(server, catalog, wishes(model, long, providers=names))
    assert [odd.provider for odd in run.odd] == ["nscale"]


def test_what_a_place_cannot_take_it_is_not_asked(catalog: Catalog) -> None:
    model = "meta-llama/Llama-3.3-70B-Instruct"
    plan, _ = plan_for(wishes(model, built_in(120_000)), catalog)
    asked = {(step.offer.provider, step.prompt.name) for step in steps(plan)}
    assert ("nscale", "tool") not in asked and ("groq", "tool") in asked  # no tools there
    assert ("scaleway", "needle") not in asked and ("scaleway", "tool") in asked  # 100,000 tokens


def test_every_place_is_asked_a_prompt_before_the_next_is(catalog: Catalog) -> None:
    prompts = read_prompts(b"a\nb", "p.txt")
    plan, _ = plan_for(wishes(prompts=prompts, providers=("novita", "cerebras"), runs=2), catalog)
    assert [(s.run, s.prompt.name, s.offer.provider) for s in steps(plan)] == [
        (run, name, provider)
        for run in range(2)
        for name in ("line 1", "line 2")
        for provider in ("novita", "cerebras")
    ]


@pytest.mark.parametrize("concurrency", [1, 4])
def test_the_cap_is_never_exceeded(
    server: SandboxServer, catalog: Catalog, concurrency: int
) -> None:
    wished = wishes(runs=10, concurrency=concurrency)
    _, bound = bounds_of(plan_for(wished, catalog)[0])
    cap = bound.most / 10
    before = len(server.requests)
    run = measured(server, catalog, wished, str(cap))
    assert 0 < run.spent + run.unsure <= cap
    made = len(server.requests) - before
    assert made == len(run.samples) < 30
    assert run.notes == (f"{30 - made} unasked",)


def test_nothing_is_sent_where_the_first_call_could_cost_more_than_the_cap(
    server: SandboxServer, catalog: Catalog
) -> None:
    before = len(server.requests)
    run = measured(server, catalog, wishes(), "0.0000001")
    assert (run.samples, len(server.requests)) == ((), before)


def test_a_call_ends_at_its_limit(server: SandboxServer, catalog: Catalog) -> None:
    model = "meta-llama/Llama-3.3-70B-Instruct"
    run = measured(server, catalog, wishes(model, providers=("groq",), timeout=0.1))
    assert run.samples[0].error == "DeadlineExceeded"


def test_a_token_that_every_place_refuses_ends_the_run(
    catalog: Catalog, server: SandboxServer
) -> None:
    plan, _ = plan_for(wishes(runs=9, concurrency=2), catalog)
    before = len(server.requests)

    async def ask() -> None:
        async with AsyncClient("hf_invalid", settings=read_settings(server.environment)) as client:
            await Asker(client, plan, Purse(None), lambda _: None).ask(list(steps(plan)))

    with pytest.raises(AuthenticationError):
        asyncio.run(ask())
    assert len(server.requests) - before <= 2 * len(plan.offers)


def test_a_provider_in_the_models_name_is_the_only_one(catalog: Catalog) -> None:
    plan, _ = plan_for(wishes(f"{LLAMA}:novita"), catalog)
    assert [offer.provider for offer in plan.offers] == ["novita"]
    plan, _ = plan_for(wishes(LLAMA.upper(), providers=("NOVITA", "novita")), catalog)
    assert (plan.model, [offer.provider for offer in plan.offers]) == (LLAMA, ["novita"])


def test_an_unknown_price_may_be_assumed(catalog: Catalog) -> None:
    plan, left = plan_for(wishes(assumed=Decimal(5)), catalog)
    assert "featherless-ai" in [offer.provider for offer in plan.offers]
    assert left == ()


@pytest.mark.parametrize(
    ("wished", "error", "said"),
    [
        (wishes("sandbox/demo"), InvalidInputError, "no providers to compare"),
        (wishes("no/such"), NotFoundError, "no/such"),
        (wishes(providers=("novitta",)), InvalidInputError, "Did you mean novita"),
        (wishes(providers=("zzz",)), InvalidInputError, "served by deepinfra, novita"),
        (wishes(providers=("featherless-ai",)), InvalidInputError, "--spend-unknown"),
        (wishes("HuggingFaceTB/SmolLM3-3B"), InvalidInputError, "its price is not known"),
    ],
)
def test_a_wish_that_cannot_be_fulfilled_is_refused_before_anything_is_sent(
    catalog: Catalog, wished: Wishes, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        plan_for(wished, catalog)


def test_who_is_not_live_is_left_out_and_asked_when_named() -> None:
    data = (
        b'{"data": [{"id": "a/b", "providers": [{"provider": "groq", "status": "error", '
        b'"pricing": {"input": 1, "output": 1}}]}]}'
    )
    catalog = Catalog(tuple(read_models(data)), "router", NOW)
    with pytest.raises(InvalidInputError, match=r"groq: it is not live \(error\)"):
        plan_for(wishes("a/b"), catalog)
    assert plan_for(wishes("a/b", providers=("groq",)), catalog)[0].offers
