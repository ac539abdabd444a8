"""JavaScript clients, unchanged, against the sandbox: Hugging Face's own and OpenAI's."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import javascript
import pytest
from questions import LLAMA, SAID

from trunkline.sandbox import SandboxServer

Ask = Callable[[str], Any]


@pytest.fixture
def hub(packages: Path, server: SandboxServer) -> Ask:
    """Run a scenario of @huggingface/inference."""
    return lambda scenario: javascript.run(
        packages, "huggingface_inference.mjs", scenario, server.url
    )


@pytest.fixture
def openai(packages: Path, server: SandboxServer) -> Ask:
    """Run a scenario of OpenAI's client."""
    return lambda scenario: javascript.run(packages, "openai.mjs", scenario, server.url)


def test_hugging_faces_client_gets_a_whole_answer(hub: Ask) -> None:
    answer = hub("whole")
    assert answer["choices"][0]["message"]["content"].startswith(f'[simulated] You said: "{SAID}"')
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert answer["usage"]["total_tokens"] > 0


def test_hugging_faces_client_streams_the_same_with_usage(hub: Ask) -> None:
    whole, streamed = hub("whole"), hub("streamed")
    assert streamed["text"] == whole["choices"][0]["message"]["content"]
    assert streamed["chunks"] > 5
    assert streamed["finish"] == "stop"
    assert streamed["usage"] == whole["usage"]


def test_hugging_faces_client_reads_eight_streams_at_once(hub: Ask) -> None:
    for number, found in enumerate(hub("parallel")):
        assert f'"Number {number}"' in found["text"]


def test_hugging_faces_client_calls_a_tool_and_tells_its_result(hub: Ask) -> None:
    found = hub("tools")
    assert found["finish"] == found["streamed"]["finish"] == "tool_calls"
    assert found["call"]["function"]["name"] == found["streamed"]["name"] == "get_weather"
    assert json.loads(found["call"]["function"]["arguments"]) == {"city": "Paris"}
    assert json.loads(found["streamed"]["arguments"]) == {"city": "Paris"}
    assert "get_weather answered: 18 degrees." in found["answer"]


def test_hugging_faces_client_gets_json_by_schema_and_shows_images(hub: Ask) -> None:
    assert type(hub("schema")["windy"]) is bool
    assert "You showed me 1 image: image/png of 3 bytes." in hub("image")


def test_hugging_faces_client_finds_providers_through_hub_and_router(hub: Ask) -> None:
    found = hub("providers")
    for answer in found["answers"].values():
        assert answer["whole"].startswith("[simulated]")
        assert answer["streamed"] == answer["whole"]
    assert found["answers"]["groq"]["model"] == "llama-3.3-70b-versatile"
    assert found["answers"]["zai-org"]["model"] == "glm-5.2"
    assert f"GET https://huggingface.co/api/models/{LLAMA}" in found["asked"]
    router = "POST https://router.huggingface.co"
    assert f"{router}/groq/openai/v1/chat/completions" in found["asked"]
    assert f"{router}/cohere/compatibility/v1/chat/completions" in found["asked"]
    own = "/hf-inference/models/HuggingFaceTB/SmolLM3-3B/v1/chat/completions"
    assert f"{router}{own}" in found["asked"]


def test_hugging_faces_client_lets_the_router_choose(hub: Ask) -> None:
    found = hub("auto")
    assert found["whole"] == found["streamed"]
    assert found["whole"].startswith("[simulated]")
    assert set(found["asked"]) == {"POST https://router.huggingface.co/v1/chat/completions"}


def test_hugging_faces_client_bills_an_organisation_of_the_account_only(hub: Ask) -> None:
    found = hub("billing")
    assert found["ours"] is None
    assert found["others"]["status"] == 401
    assert "not allowed to bill" in found["others"]["message"]


def test_hugging_faces_client_maps_statuses_to_its_own_error(hub: Ask) -> None:
    for status, ways in hub("statuses").items():
        for error in ways.values():
            assert error["name"] == "ProviderApiError"
            assert error["status"] == int(status)
            assert error["requestId"]


def test_hugging_faces_client_raises_errors_within_a_stream(hub: Ask) -> None:
    found = hub("streamErrors")
    lost = found.pop("cut")
    assert lost["name"] == "TypeError"  # node's own, for a connection that broke
    for error in found.values():
        assert error["name"] == "ProviderApiError"
        assert error["status"] == 200


def test_hugging_faces_client_reads_odd_forms_of_a_stream_the_same(hub: Ask) -> None:
    forms = hub("forms")
    assert set(forms["found"].values()) == {forms["whole"]}


def test_hugging_faces_client_tries_again_what_is_unavailable_once(
    hub: Ask, server: SandboxServer
) -> None:
    assert hub("again").startswith("[simulated]")
    assert [seen.status for seen in server.requests] == [503, 200]


def test_hugging_faces_client_says_when_the_hub_knows_no_such_model(hub: Ask) -> None:
    error = hub("unknownModel")
    assert error["name"] == "HubApiError"
    assert error["status"] == 404


def test_the_sandbox_sees_that_hugging_faces_client_left_a_stream(
    packages: Path,
    slow_server: SandboxServer,
    soon: Callable[[Callable[[], object]], bool],
) -> None:
    error = javascript.run(packages, "huggingface_inference.mjs", "aborted", slow_server.url)
    assert error["name"] == "AbortError"
    assert soon(lambda: slow_server.requests[-1].hung_up)


def test_openais_javascript_client_chats_and_streams(openai: Ask) -> None:
    found = openai("chat")
    assert found["whole"].startswith("[simulated]")
    assert found["text"] == found["whole"]
    assert found["usage"] == found["counted"]


def test_openais_javascript_client_runs_its_own_tool_loop(openai: Ask) -> None:
    found = openai("tools")
    assert found["heard"] == ["Paris"]
    assert "get_weather answered: 18 degrees." in found["answer"]


def test_openais_javascript_client_raises_its_own_errors(openai: Ask) -> None:
    assert openai("errors") == {
        "400": {"kind": "BadRequestError", "status": 400},
        "401": {"kind": "AuthenticationError", "status": 401},
        "403": {"kind": "PermissionDeniedError", "status": 403},
        "404": {"kind": "NotFoundError", "status": 404},
        "409": {"kind": "ConflictError", "status": 409},
        "422": {"kind": "UnprocessableEntityError", "status": 422},
        "429": {"kind": "RateLimitError", "status": 429},
        "500": {"kind": "InternalServerError", "status": 500},
        "error-mid-stream": {"kind": "APIError", "status": None},
    }
