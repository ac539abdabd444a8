"""Other people's clients, unchanged, against the sandbox: they prove it, not we."""

from __future__ import annotations

from typing import Any

import huggingface_hub
import openai
import pytest
from huggingface_hub import InferenceClient, constants
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.inference._providers import _common

from trunkline.sandbox import SandboxServer

LLAMA = "meta-llama/Llama-3.3-70B-Instruct"
MESSAGES: Any = [{"role": "user", "content": "What is the weather in Paris?"}]
TOOLS: Any = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            },
        },
    }
]


@pytest.fixture
def openai_client(server: SandboxServer) -> Any:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="hf_good", max_retries=1) as client:
        yield client


def test_openais_client_chats_streams_and_calls_tools(openai_client: Any) -> None:
    create = openai_client.chat.completions.create
    whole = create(model=LLAMA, messages=MESSAGES)
    assert whole.choices[0].message.content.startswith("[simulated]")
    options = {"include_usage": True}
    chunks = list(create(model=f"{LLAMA}:together", messages=MESSAGES, stream=True))
    assert "".join(c.choices[0].delta.content or "" for c in chunks).startswith("[simulated]")
    counted = list(
        create(model="sandbox/demo", messages=MESSAGES, stream=True, stream_options=options)
    )
    assert counted[-1].usage.total_tokens > 0
    called = create(model=LLAMA, messages=MESSAGES, tools=TOOLS, tool_choice="auto")
    assert called.choices[0].message.tool_calls[0].function.arguments == '{"city":"Paris"}'


def test_openais_client_reads_answers_into_models(openai_client: Any) -> None:
    pydantic = pytest.importorskip("pydantic")
    step = pydantic.create_model("Step", text=(str, ...), number=(int, ...))
    plan = pydantic.create_model("Plan", steps=(list[step], ...), done=(bool, ...))
    found = openai_client.chat.completions.parse(
        model="sandbox/demo", messages=MESSAGES, response_format=plan
    )
    assert isinstance(found.choices[0].message.parsed, plan)


def test_openais_client_lists_models_and_raises_its_own_errors(openai_client: Any) -> None:
    assert LLAMA in [model.id for model in openai_client.models.list()]
    create = openai_client.chat.completions.create
    with pytest.raises(openai.BadRequestError, match="not supported by any provider"):
        create(model="no/such", messages=MESSAGES)
    with pytest.raises(openai.AuthenticationError):
        openai_client.with_options(api_key="hf_invalid").chat.completions.create(
            model=LLAMA, messages=MESSAGES
        )
    with pytest.raises(openai.APIStatusError) as caught:
        openai_client.with_options(api_key="hf_nocredits").chat.completions.create(
            model=LLAMA, messages=MESSAGES
        )
    assert caught.value.status_code == 402


def test_openais_client_tries_again_what_fails_once(
    openai_client: Any, server: SandboxServer
) -> None:
    found = openai_client.chat.completions.create(
        model="sandbox/fault-flaky-429", messages=MESSAGES
    )
    assert found.choices
    assert [seen.status for seen in server.requests] == [429, 200]


def test_the_hubs_client_chats_and_streams(server: SandboxServer) -> None:
    client = InferenceClient(base_url=server.url, api_key="hf_good")
    whole = client.chat_completion(MESSAGES, model=LLAMA)
    assert (whole.choices[0].message.content or "").startswith("[simulated]")
    streamed = client.chat.completions.create(messages=MESSAGES, model=LLAMA, stream=True)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in streamed if chunk.choices)
    assert text.startswith("[simulated]")
    called = client.chat_completion(MESSAGES, model=LLAMA, tools=TOOLS, tool_choice="required")
    assert called.choices[0].message.tool_calls
    with pytest.raises(HfHubHTTPError):
        InferenceClient(base_url=server.url, api_key="hf_invalid").chat_completion(
            MESSAGES, model=LLAMA
        )


@pytest.mark.parametrize("provider", ["groq", "together", "cohere", "fireworks-ai", "hf-inference"])
def test_the_hubs_client_finds_models_by_provider_through_the_hub(
    server: SandboxServer, monkeypatch: pytest.MonkeyPatch, provider: str
) -> None:
    # these two are constants of that library: there is no setting that moves them
    template = f"{server.url}/{{provider}}"
    monkeypatch.setattr(constants, "INFERENCE_PROXY_TEMPLATE", template)
    monkeypatch.setattr(huggingface_hub.hf_api.constants, "ENDPOINT", server.url)
    monkeypatch.setattr(huggingface_hub.hf_api.api, "endpoint", server.url)
    _common._fetch_inference_provider_mapping.cache_clear()
    models = {
        "cohere": "CohereLabs/aya-expanse-32b",
        "hf-inference": "HuggingFaceTB/SmolLM3-3B",
    }
    model = models.get(provider, LLAMA)
    client = InferenceClient(provider=provider, api_key="hf_good")  # type: ignore[arg-type]
    try:
        whole = client.chat_completion(MESSAGES, model=model)
    finally:
        _common._fetch_inference_provider_mapping.cache_clear()
    assert (whole.choices[0].message.content or "").startswith("[simulated]")
