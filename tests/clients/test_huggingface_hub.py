"""huggingface_hub's clients, unchanged, against the sandbox: by address, and by provider."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import AsyncInferenceClient, InferenceClient
from huggingface_hub.errors import BadRequestError, HfHubHTTPError, InferenceTimeoutError
from questions import (
    AS_REPORT,
    LLAMA,
    MESSAGES,
    SAID,
    SEEN,
    SHOWN,
    TOOLS,
    VISION,
    fits_report,
)

from trunkline.sandbox import SandboxServer, serve_in_thread

ROUTED = {
    "baseten": ("openai/gpt-oss-120b", "/v1/chat/completions"),
    "cerebras": (LLAMA, "/v1/chat/completions"),
    "cohere": ("CohereLabs/aya-expanse-32b", "/compatibility/v1/chat/completions"),
    "deepinfra": ("meta-llama/Llama-3.1-8B-Instruct", "/v1/openai/chat/completions"),
    "featherless-ai": ("Qwen/Qwen2.5-72B-Instruct", "/v1/chat/completions"),
    "fireworks-ai": (LLAMA, "/inference/v1/chat/completions"),
    "groq": (LLAMA, "/openai/v1/chat/completions"),
    "hf-inference": (
        "HuggingFaceTB/SmolLM3-3B",
        "/models/HuggingFaceTB/SmolLM3-3B/v1/chat/completions",
    ),
    "novita": (LLAMA, "/v3/openai/chat/completions"),
    "nscale": (LLAMA, "/v1/chat/completions"),
    "ovhcloud": ("openai/gpt-oss-20b", "/v1/chat/completions"),
    "publicai": ("swiss-ai/Apertus-8B-Instruct-2509", "/v1/chat/completions"),
    "scaleway": (LLAMA, "/v1/chat/completions"),
    "together": (LLAMA, "/v1/chat/completions"),
    "zai-org": ("zai-org/GLM-5.2", "/api/paas/v4/chat/completions"),
}
"""Every provider that chats: a model of it, and its path as that library has it."""


@pytest.fixture
def client(server: SandboxServer) -> Iterator[InferenceClient]:
    with InferenceClient(base_url=f"{server.url}/v1", api_key="hf_good", timeout=10) as made:
        yield made


def failing(server: SandboxServer, fault: str, **more: Any) -> InferenceClient:
    given = {"timeout": 10, **more}
    headers = {"x-sandbox-fault": fault}
    return InferenceClient(base_url=server.url, api_key="hf_good", headers=headers, **given)


def text_of(chunks: Any) -> str:
    return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)


def test_a_stream_says_what_the_whole_answer_says_and_usage_where_asked(
    client: InferenceClient,
) -> None:
    whole = client.chat_completion(MESSAGES, model=LLAMA)
    said = whole.choices[0].message.content or ""
    assert said.startswith(f'[simulated] You said: "{SAID}"')
    options: Any = {"include_usage": True}
    chunks = list(
        client.chat_completion(MESSAGES, model=LLAMA, stream=True, stream_options=options)
    )
    assert text_of(chunks) == said
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == whole.usage.total_tokens > 0


def test_it_answers_under_openais_name_for_the_call_too(client: InferenceClient) -> None:
    stream = client.chat.completions.create(model=LLAMA, messages=MESSAGES, stream=True)
    assert text_of(stream).startswith("[simulated]")


def test_the_async_client_asks_eight_times_at_once(server: SandboxServer) -> None:
    async def story() -> list[str]:
        async with AsyncInferenceClient(base_url=f"{server.url}/v1", api_key="hf_good") as client:

            async def one(number: int) -> str:
                asked: Any = [{"role": "user", "content": f"Number {number}"}]
                stream = await client.chat_completion(asked, model=LLAMA, stream=True)
                return text_of([chunk async for chunk in stream])

            return await asyncio.gather(*map(one, range(8)))

    for number, text in enumerate(asyncio.run(story())):
        assert f'"Number {number}"' in text


def test_a_tool_is_called_and_its_result_answered(client: InferenceClient) -> None:
    first = client.chat_completion(MESSAGES, model=LLAMA, tools=TOOLS, tool_choice="auto")
    assert first.choices[0].finish_reason == "tool_calls"
    (call,) = first.choices[0].message.tool_calls or []
    assert call.function.name == "get_weather"
    assert json.loads(call.function.arguments)["city"] == "Paris"
    told = {"role": "tool", "tool_call_id": call.id, "content": "18 degrees"}
    last = client.chat_completion([*MESSAGES, first.choices[0].message, told], model=LLAMA)
    assert "get_weather answered: 18 degrees." in (last.choices[0].message.content or "")


def test_streamed_tool_calls_arrive_in_fragments(client: InferenceClient) -> None:
    name, arguments = "", ""
    stream = client.chat_completion(
        MESSAGES, model=LLAMA, tools=TOOLS, tool_choice="required", stream=True
    )
    for chunk in stream:
        for call in chunk.choices[0].delta.tool_calls or ():
            name += call.function.name or ""
            arguments += call.function.arguments or ""
    assert name == "get_weather"
    assert json.loads(arguments)["city"] == "Paris"


def test_answers_fit_a_json_schema_and_images_are_seen(client: InferenceClient) -> None:
    found = client.chat_completion(MESSAGES, model=LLAMA, response_format=AS_REPORT)
    assert fits_report(json.loads(found.choices[0].message.content or ""))
    shown = client.chat_completion(SHOWN, model=VISION)
    assert SEEN in (shown.choices[0].message.content or "")


def test_the_bill_goes_to_an_organisation_of_the_account_only(server: SandboxServer) -> None:
    for payer, answers in (("sandbox-org", True), ("other-org", False)):
        with InferenceClient(base_url=server.url, api_key="hf_good", bill_to=payer) as client:
            if answers:
                assert client.chat_completion(MESSAGES, model=LLAMA).choices
            else:
                with pytest.raises(HfHubHTTPError, match="not allowed to bill"):
                    client.chat_completion(MESSAGES, model=LLAMA)


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 422, 429, 500, 502, 504])
def test_statuses_raise_this_librarys_own_errors(
    server: SandboxServer, status: int, streamed: bool
) -> None:
    kind = BadRequestError if status == 400 else HfHubHTTPError
    with failing(server, str(status)) as client, pytest.raises(kind) as caught:
        client.chat_completion(MESSAGES, model=LLAMA, stream=streamed)
    assert caught.value.response.status_code == status
    assert caught.value.request_id


def test_a_server_that_does_not_answer_runs_into_the_clients_own_timeout(
    server: SandboxServer,
) -> None:
    slow = failing(server, "stall-head", timeout=0.2)
    with slow as client, pytest.raises(InferenceTimeoutError):
        client.chat_completion(MESSAGES, model=LLAMA)


def test_the_sandbox_sees_that_a_stream_was_left(
    slow_server: SandboxServer, soon: Callable[[Callable[[], object]], bool]
) -> None:
    with InferenceClient(base_url=slow_server.url, api_key="hf_good") as client:
        stream: Any = client.chat_completion(MESSAGES, model=LLAMA, stream=True)
        next(stream)
    assert soon(lambda: slow_server.requests[-1].hung_up)


Answers = dict[str, dict[str, str]]


@pytest.fixture(scope="module")
def routed() -> tuple[Answers, list[tuple[str, str]]]:
    """What came of asking every provider, and which requests the sandbox saw."""
    models = {provider: model for provider, (model, _) in ROUTED.items()}
    script = Path(__file__).with_name("hub_providers.py")
    with serve_in_thread() as server:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        run = subprocess.run(
            [sys.executable, script, server.url, json.dumps(models), "hf_good"],
            env={**kept, "HF_ENDPOINT": server.url, "NO_PROXY": "127.0.0.1,localhost"},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert run.returncode == 0, run.stderr
        return json.loads(run.stdout), [(seen.method, seen.path) for seen in server.requests]


@pytest.mark.parametrize("provider", ROUTED)
def test_a_providers_own_route_answers_whole_streamed_and_awaited(
    routed: tuple[Answers, list[tuple[str, str]]], provider: str
) -> None:
    answers, requests = routed
    answer = answers[provider]
    assert answer["whole"].startswith("[simulated]")
    assert answer["streamed"] == answer["awaited"] == answer["whole"]
    assert answer["ended"] == "stop"
    _, path = ROUTED[provider]
    assert requests.count(("POST", f"/{provider}{path}")) == 3


def test_the_names_that_providers_have_for_a_model_come_from_the_sandboxs_hub(
    routed: tuple[Answers, list[tuple[str, str]]],
) -> None:
    answers, requests = routed
    assert answers["groq"]["model"] == "llama-3.3-70b-versatile"
    assert answers["zai-org"]["model"] == "glm-5.2"
    assert ("GET", f"/api/models/{LLAMA}") in requests
