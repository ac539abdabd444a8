"""Tasks, jobs, responses, messages and text completions with a route."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from routed_side import ASK, MODEL, Serve, sandboxed
from trunkline import AsyncClient, errors
from trunkline.errors import RouteExhaustedError
from trunkline.types import Receipt

__all__ = ["sandboxed"]

FLUX = "black-forest-labs/FLUX.1-dev"
VIDEO = "genmo/mochi-1-preview"
TEXTS = "Qwen/Qwen3-8B-Base"

Call = Callable[..., Any]
CALLS: dict[str, tuple[str, str, Call]] = {
    "a queued picture": (
        "fal-ai",
        "replicate",
        lambda c, **more: c.image_generation(FLUX, "a fox", **more),
    ),
    "a queued video": (
        "fal-ai",
        "replicate",
        lambda c, **more: c.text_to_video(VIDEO, "a fox", **more),
    ),
    "embeddings": (
        "together",
        "hf-inference",
        lambda c, **more: c.embedding(
            "intfloat/multilingual-e5-large-instruct", ["a", "b"], **more
        ),
    ),
    "a response": ("together", "groq", lambda c, **more: c.responses(MODEL, "hello", **more)),
    "a message": (
        "together",
        "groq",
        lambda c, **more: c.messages(MODEL, ASK, max_tokens=99, **more),
    ),
    "a text": ("deepinfra", "novita", lambda c, **more: c.text_completion(TEXTS, "hello", **more)),
}
STREAMS = ("a response", "a message", "a text")


def made(receipt: Receipt | None) -> list[tuple[int, str | None, str]]:
    assert receipt is not None
    assert receipt.route is not None
    return [(a.number, a.provider, a.role) for a in receipt.attempts]


SLOW = pytest.mark.slow  # a queued video is polled every second


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=SLOW) if "queued" in n else n for n in CALLS]
)
def test_a_call_that_fails_at_one_provider_goes_to_the_next(sandboxed: Serve, name: str):
    first, second, call = CALLS[name]
    with sandboxed({first: "503"}) as (client, _):
        result = call(client, route=[first, second])
    found = made(result.receipt)
    assert found[:2] == [(1, first, "first"), (2, first, "retry")]
    assert found[2] == (3, second, "failover")
    assert {provider for _, provider, _ in found[2:]} == {second}
    assert result.receipt.attempts[1].moved


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_that_fails_before_its_first_event_does_too(sandboxed: Serve, name: str):
    first, second, call = CALLS[name]
    with sandboxed({first: "503"}) as (client, _):
        whole = call(client, route=[first, second], stream=True).collect()
    assert made(whole.receipt)[-1] == (3, second, "failover")


@pytest.mark.slow
def test_who_serves_a_model_is_asked_of_the_hub_where_no_place_is_named(sandboxed: Serve):
    with sandboxed({"fal-ai": "503"}) as (client, _):
        result = client.image_generation(
            FLUX, "a fox", route={"deny": ["replicate"], "order": "fastest"}
        )
    assert result.receipt is not None
    assert result.receipt.provider not in {"fal-ai", "replicate"}
    assert result.receipt.route is not None
    left_out = {c.name: c.excluded for c in result.receipt.route.candidates if c.excluded}
    assert left_out == {"replicate": "the route denies it"}


def test_a_provider_without_the_model_is_said_to_be_so(sandboxed: Serve):
    with sandboxed({"fal-ai": "503"}) as (client, _), pytest.raises(RouteExhaustedError) as caught:
        client.image_generation(FLUX, "a fox", route=["fal-ai", "nscale"])
    assert f"nscale  nscale does not serve {FLUX}." in str(caught.value)


@pytest.mark.slow
def test_a_job_that_was_accepted_stays_where_it_is(sandboxed: Serve):
    with sandboxed() as (client, _), pytest.raises(errors.JobFailedError) as caught:
        client.text_to_video("fal-ai/text-to-video/fault-job-failed", "a fox", route=["replicate"])
    assert {a.provider for a in caught.value.attempts} == {"fal-ai"}


@pytest.mark.slow
def test_asking_after_a_job_has_no_route(sandboxed: Serve):
    with sandboxed() as (client, _):
        with pytest.raises(errors.JobError) as caught:
            client.text_to_video("fal-ai/text-to-video/fault-job-failed", "a fox")
        assert caught.value.job is not None
        with pytest.raises(errors.InvalidInputError, match="stays where it is"):
            client.resume_job(caught.value.job, route=["replicate"])


def test_a_key_of_one_provider_is_sent_to_no_other(sandboxed: Serve):
    key = "key-of-fal-1234567890"
    with sandboxed() as (client, server), pytest.raises(RouteExhaustedError) as caught:
        client.image_generation(FLUX, "a fox", token=key, route=["together", "nscale"])
    assert "the key is no Hugging Face token" in str(caught.value)
    assert not server.requests


@pytest.mark.slow
def test_awaited_tasks_do_the_same(sandboxed: Serve):
    async def work() -> None:
        async with AsyncClient() as client:
            result = await client.text_to_video(VIDEO, "a fox", route=["fal-ai", "replicate"])
            assert made(result.receipt)[2] == (3, "replicate", "failover")
            stream = await client.responses(MODEL, "hello", stream=True, route=["fal-ai", "groq"])
            whole = await stream.collect()
            assert made(whole.receipt)[-1][1] == "groq"

    with sandboxed({"fal-ai": "503"}):
        asyncio.run(work())
