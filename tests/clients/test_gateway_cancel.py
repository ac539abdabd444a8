"""Clients that leave a gateway, in each phase: its upstream is left, too, and what was used is settled."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest
from gateways import rows
from huggingface_hub import InferenceClient
from huggingface_hub.errors import InferenceTimeoutError
from questions import MESSAGES
from running import Gateway

from trunkline.sandbox import SandboxServer

Soon = Callable[[Callable[[], object]], bool]


@pytest.fixture(scope="module")
def client(gateway: Gateway, key: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=key, max_retries=0) as made:
        yield made


def create(client: openai.OpenAI, **more: Any) -> Any:
    return client.chat.completions.create(**{"messages": MESSAGES, **more})


def seen(behind: SandboxServer, model: str) -> list[Any]:
    """Return the sandbox's requests for a model, which knows it without its upstream's name."""
    asked = model.removeprefix("emulator/")
    return [one for one in behind.requests if one.method == "POST" and one.json["model"] == asked]


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_a_task_that_is_cancelled_before_the_answer_begins_ends_the_upstreams_work(
    gateway: Gateway, key: str, behind: SandboxServer, soon: Soon, streamed: bool
) -> None:
    model = f"emulator/before-{streamed}/fault-stall-head;seconds=30".lower()

    async def story() -> None:
        async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=key) as client:
            asked: Any = {"model": model, "messages": MESSAGES, "stream": streamed}
            task = asyncio.create_task(client.chat.completions.create(**asked))
            while not seen(behind, model):
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(story())
    assert soon(lambda: seen(behind, model)[-1].hung_up)
    (row,) = rows(gateway, model, 1)
    assert (row["status"], row["outcome"], row["attempts"]) == (499, "cancelled", 1)
    assert row["cost"] is None  # what the upstream did is not known, and is not called nothing
    assert row["token_source"] == "unknown"


def test_a_client_that_gives_up_before_the_first_token_is_settled_by_what_is_known(
    client: openai.OpenAI, gateway: Gateway, behind: SandboxServer, soon: Soon
) -> None:
    model = "emulator/first/fault-stall-first;seconds=30"
    with pytest.raises(openai.APITimeoutError):
        create(client, model=model, stream=True, timeout=2)
    assert soon(lambda: seen(behind, model)[-1].hung_up)
    (row,) = rows(gateway, model, 1)
    assert (row["status"], row["outcome"]) == (499, "cancelled")
    assert (row["output_tokens"], row["token_source"]) == (0, "estimated")
    assert row["input_tokens"] > 0


def test_a_stream_that_is_left_is_settled_by_what_was_delivered(
    client: openai.OpenAI, gateway: Gateway, behind: SandboxServer, soon: Soon
) -> None:
    model = "emulator/middle/fault-stall;seconds=30"
    with create(client, model=model, stream=True) as stream:
        heard = next(chunk for chunk in stream if chunk.choices[0].delta.content)
    assert heard
    assert soon(lambda: seen(behind, model)[-1].hung_up)
    (row,) = rows(gateway, model, 1)
    assert (row["status"], row["outcome"]) == (499, "cancelled")
    assert row["output_tokens"] > 0
    assert row["token_source"] == "estimated"
    assert float(row["cost"]) > 0


def test_a_cancelled_task_of_the_async_client_ends_the_upstreams_work(
    gateway: Gateway, key: str, behind: SandboxServer, soon: Soon
) -> None:
    model = "emulator/task/fault-stall;seconds=30"

    async def story() -> None:
        async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=key) as client:
            started = asyncio.Event()

            async def read() -> None:
                stream: Any = await client.chat.completions.create(
                    model=model, messages=MESSAGES, stream=True
                )
                async for _ in stream:
                    started.set()

            task = asyncio.create_task(read())
            await started.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(story())
    assert soon(lambda: seen(behind, model)[-1].hung_up)
    assert rows(gateway, model, 1)[0]["status"] == 499


@pytest.mark.slow
def test_hugging_faces_client_runs_into_its_own_time_out(
    gateway: Gateway, key: str, behind: SandboxServer, soon: Soon
) -> None:
    model = "emulator/hub/fault-stall-head;seconds=30"
    base = f"{gateway.url}/v1"
    hurried = InferenceClient(base_url=base, api_key=key, timeout=2)
    with hurried as client, pytest.raises(InferenceTimeoutError):
        client.chat_completion(MESSAGES, model=model)
    assert soon(lambda: seen(behind, model)[-1].hung_up)
    assert rows(gateway, model, 1)[0]["outcome"] == "cancelled"


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl not found")
def test_a_curl_that_is_killed_ends_the_upstreams_work(
    gateway: Gateway, key: str, behind: SandboxServer, soon: Soon
) -> None:
    model = "emulator/curl/fault-stall;seconds=30"
    body = f'{{"model":"{model}","stream":true,"messages":[{{"role":"user","content":"Hi"}}]}}'
    url = f"{gateway.url}/v1/chat/completions"
    curl = subprocess.Popen(
        ["curl", "-sN", "--noproxy", "*", "-H", f"Authorization: Bearer {key}", "-d", body, url],
        stdout=subprocess.PIPE,
    )
    assert curl.stdout is not None
    assert curl.stdout.readline().startswith(b"data: ")
    curl.kill()
    curl.wait(10)
    curl.stdout.close()
    assert soon(lambda: seen(behind, model)[-1].hung_up)
    assert rows(gateway, model, 1)[0]["status"] == 499


def test_a_client_that_left_can_come_back_at_once(client: openai.OpenAI, gateway: Gateway) -> None:
    for _ in range(20):
        with create(client, model="emulator/back/fault-stall;seconds=30", stream=True) as stream:
            next(iter(stream))
    assert create(client, model="emulator/sandbox/demo").choices
    found = rows(gateway, "emulator/back/fault-stall;seconds=30", 20)
    assert {row["outcome"] for row in found} == {"cancelled"}
    assert len(found) == 20
