"""huggingface_hub's clients, unchanged, on a gateway's `/hf`: every provider and task that they have."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import openai
import pytest
from gateways import in_front_of
from raw import eventually
from running import Gateway
from test_huggingface_hub import ROUTED

from trunkline.sandbox import Sandbox, SandboxServer, serve_in_thread

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
TASKS = HERE.parent / "sandbox"
ASKED_OTHERWISE = ("hf-inference tabular-classification", "hf-inference visual-question-answering")
"""What the library asks in a way that no pipeline takes: the answer is the upstream's own refusal."""
BY_ITS_JOBS = ("fal-ai", "novita", "replicate", "together", "wavespeed", "zai-org")


@pytest.fixture(scope="module")
def behind() -> Iterator[SandboxServer]:
    """A sandbox whose jobs end at once: the library waits for Replicate's no longer than one answer."""
    with serve_in_thread(Sandbox(job_polls=0)) as running:
        yield running


@pytest.fixture(scope="module")
def gateway(behind: SandboxServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with in_front_of(behind, tmp_path_factory.mktemp("gateway")) as started:
        yield started


def run(gateway: Gateway, key: str, script: str, *arguments: str) -> Any:
    """Run a script of ours whose library asks the gateway alone."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    ours = {
        "HF_ENDPOINT": f"{gateway.url}/hf",
        "HF_TOKEN": key,
        "NO_PROXY": "127.0.0.1,localhost",
        "PYTHONPATH": str(TASKS),
    }
    done = subprocess.run(
        [sys.executable, str(HERE / script), *arguments],
        env={**kept, **ours},
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def secret(gateway: Gateway) -> str:
    """A key as Hugging Face's clients want one."""
    return "hf_" + gateway.new_key()


@pytest.fixture(scope="module")
def found(gateway: Gateway, secret: str) -> dict[str, Any]:
    """What came of every task."""
    answer: dict[str, Any] = run(gateway, secret, "hf_tasks.py", gateway.url, secret)
    return answer


@pytest.fixture(scope="module")
def chatter(gateway: Gateway) -> tuple[str, str]:
    """The id and the secret of a key that only chats."""
    made = gateway.admin("POST", "/keys", {"name": "chatter"})
    return made["key"]["id"], "hf_" + made["secret"]


@pytest.fixture(scope="module")
def chats(gateway: Gateway, chatter: tuple[str, str]) -> dict[str, dict[str, str]]:
    """What came of asking every provider that chats."""
    models = json.dumps({provider: model for provider, (model, _) in ROUTED.items()})
    url, (_, secret) = f"{gateway.url}/hf", chatter
    answer: dict[str, Any] = run(gateway, secret, "hub_providers.py", url, models, secret)
    return answer


@pytest.mark.parametrize("way", ["blocking", "awaited"])
def test_every_task_of_every_provider_comes_back_in_that_librarys_own_types(
    found: dict[str, Any], way: str
) -> None:
    told = dict(found[way])
    for name in ASKED_OTHERWISE:
        assert "400 Bad Request" in told.pop(name)
    failed = {name: text for name, text in told.items() if "Traceback" in text}
    assert not failed
    assert "nothing" not in told.values()
    assert len(told) > 60
    assert {name.split()[0] for name in told} >= {*ROUTED, *BY_ITS_JOBS}


def test_pictures_videos_sounds_and_vectors_are_what_was_asked_for(found: dict[str, Any]) -> None:
    told = found["told"]
    pictures = [row for row in told.values() if isinstance(row, list) and row[0] == "PNG"]
    assert len(pictures) == 10
    assert all(row == ["PNG", 64, 32] for row in pictures)
    assert told["text_to_video fal-ai"] == told["text_to_video wavespeed"] == "ftyp"
    assert told["transcription deepinfra"].startswith("[simulated] audio/wav of")
    assert told["speech replicate"] == "RIFF"
    assert told["embedding"] == [1, 384]


@pytest.mark.parametrize("provider", ROUTED)
def test_every_provider_chats_whole_streamed_and_awaited(
    chats: dict[str, dict[str, str]], provider: str
) -> None:
    answer = chats[provider]
    assert answer["whole"].startswith("[simulated]")
    assert answer["streamed"] == answer["awaited"] == answer["whole"]
    assert answer["ended"] == "stop"


def test_the_unified_route_lies_below_the_same_address(found: dict[str, Any]) -> None:
    said, _ = found["unified"]
    assert said.startswith("[simulated]")


def test_errors_are_told_in_the_routers_shape_and_read_by_the_library(
    found: dict[str, Any], gateway: Gateway
) -> None:
    status, message, _ = found["refused"]["key"]
    assert status == 401
    assert "No valid key was given" in message
    status, message, request = found["refused"]["limit"]
    assert status == 429
    assert gateway.entry(request)["outcome"] == "refused"
    status, message, request = found["refused"]["credential"]
    assert status == 502
    assert "gateway's own credential" in message
    assert gateway.entry(request)["error"] == "upstream_credential_refused"


def test_each_job_is_one_row_and_its_polls_are_none(gateway: Gateway, secret: str) -> None:
    route = "/hf/fal-ai/fal-ai/wan-t2v?_subdomain=queue"
    _, first, job = gateway.ask("POST", route, {"prompt": "a dog"}, secret)
    place = urlsplit(job["response_url"])
    assert f"{place.scheme}://{place.netloc}" == gateway.url
    polls = [
        gateway.ask(method, f"{place.path}{end}?{place.query}", key=secret)
        for method, end in (("GET", "/status"), ("GET", ""), ("PUT", "/cancel"))
    ]
    assert [status for status, _, _ in polls] == [200, 200, 400]  # it is too late to cancel it
    assert polls[1][2]["video"]["url"]
    _, last, _ = gateway.ask("POST", route, {"prompt": "a dog"}, secret)
    for told in (first, last):
        row = gateway.entry(told["x-request-id"])
        assert (row["endpoint"], row["provider"], row["outcome"]) == ("hf", "fal-ai", "ok")
        assert (row["model"], row["target_model"]) == ("Wan-AI/Wan2.1-T2V-14B", "fal-ai/wan-t2v")
        assert row["cost"] is None
    for _, told, _ in polls:
        path = f"/admin/entries/{told['x-request-id']}"
        assert gateway.ask("GET", path, key=gateway.admin_key)[0] == 404


def test_chats_have_the_hubs_name_of_the_model_its_tokens_and_its_price(
    chats: dict[str, dict[str, str]], gateway: Gateway, chatter: tuple[str, str]
) -> None:
    assert chats
    path = f"/entries?limit=200&key={chatter[0]}"
    eventually(lambda: len(settled(gateway, path)) == 3 * len(ROUTED), "all rows are settled")
    told = settled(gateway, path)
    assert {row["outcome"] for row in told} == {"ok"}
    assert {row["endpoint"] for row in told} == {"hf"}
    assert {row["stream"] for row in told} == {True, False}
    assert all(row["output_tokens"] > 0 for row in told)
    assert {(row["provider"], row["model"]) for row in told} == {
        (provider, model) for provider, (model, _) in ROUTED.items()
    }
    (name,) = {row["target_model"] for row in told if row["provider"] == "groq"}
    assert name == "llama-3.3-70b-versatile"
    assert all(float(row["cost"]) > 0 for row in told if row["provider"] == "groq")


def settled(gateway: Gateway, path: str) -> list[dict[str, Any]]:
    return [row for row in gateway.admin("GET", path)["data"] if row["state"] == "settled"]


def test_nothing_of_the_clients_key_reaches_the_router(
    found: dict[str, Any], behind: SandboxServer, secret: str
) -> None:
    assert found
    seen = [*behind.requests]
    assert len(seen) > 100
    key = secret.removeprefix("hf_")
    for one in seen:
        assert key not in str(one.headers)
        assert key.encode() not in one.body


def test_openais_client_works_on_a_providers_own_route(gateway: Gateway, secret: str) -> None:
    url = f"{gateway.url}/hf/groq/openai/v1"
    messages: Any = [{"role": "user", "content": "Hello"}]
    with openai.OpenAI(base_url=url, api_key=secret, max_retries=0) as client:
        ask = partial(client.chat.completions.create, messages=messages)
        whole = ask(model="llama-3.3-70b-versatile")
        assert (whole.choices[0].message.content or "").startswith("[simulated]")
        chunks = list(ask(model="llama-3.3-70b-versatile", stream=True))
        assert chunks[-1].choices[0].finish_reason == "stop"
        with pytest.raises(openai.RateLimitError):
            ask(model="conversational/fault-429")
