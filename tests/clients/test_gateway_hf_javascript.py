"""@huggingface/inference, unchanged, on a gateway's `/hf`: every provider and task that it has."""

from __future__ import annotations

import base64
import io
import json
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import javascript
import pytest
from gateways import in_front_of
from raw import eventually
from running import Gateway
from test_huggingface_hub import ROUTED

from trunkline.sandbox import Sandbox, SandboxServer, serve_in_thread
from trunkline.sandbox.models import MODELS

pytestmark = pytest.mark.slow

TASKS: dict[str, tuple[str, ...]] = {
    "deepinfra": ("automatic-speech-recognition", "conversational", "feature-extraction",
                  "text-generation", "text-to-image", "text-to-speech"),
    "fal-ai": ("audio-to-audio", "automatic-speech-recognition", "image-segmentation",
               "image-text-to-image", "image-text-to-video", "image-to-image", "image-to-video",
               "text-to-audio", "text-to-image", "text-to-speech", "text-to-video"),
    "featherless-ai": ("conversational", "text-generation"),
    "hf-inference": (
        "audio-classification", "audio-to-audio", "automatic-speech-recognition", "conversational",
        "document-question-answering", "feature-extraction", "fill-mask", "image-classification",
        "image-segmentation", "image-to-image", "image-to-text", "object-detection",
        "question-answering", "sentence-similarity", "summarization", "table-question-answering",
        "tabular-classification", "tabular-regression", "text-classification", "text-generation",
        "text-to-audio", "text-to-image", "text-to-speech", "token-classification", "translation",
        "visual-question-answering", "zero-shot-classification", "zero-shot-image-classification"),
    "novita": ("conversational", "image-text-to-video", "text-to-video"),
    "nscale": ("conversational", "text-to-image"),
    "ovhcloud": ("conversational", "text-generation"),
    "replicate": ("automatic-speech-recognition", "image-to-image", "text-to-image",
                  "text-to-speech", "text-to-video"),
    "scaleway": ("conversational", "feature-extraction", "text-generation"),
    "together": ("automatic-speech-recognition", "conversational", "feature-extraction",
                 "image-to-image", "image-to-video", "text-generation", "text-to-image",
                 "text-to-speech", "text-to-video"),
    "wavespeed": ("image-text-to-image", "image-text-to-video", "image-to-image", "image-to-video",
                  "text-to-image", "text-to-video"),
    "zai-org": ("conversational", "image-to-text", "text-to-image"),
}  # fmt: skip
"""What the library has, beside providers that only chat."""
Ask = Callable[..., Any]


def wav() -> bytes:
    """Half a second of silence."""
    written = io.BytesIO()
    with wave.open(written, "wb") as sound:
        sound.setparams((1, 2, 8000, 4000, "NONE", ""))
        sound.writeframes(bytes(8000))
    return written.getvalue()


def rows() -> list[tuple[str, str, str]]:
    """Every provider and task for which the sandbox has a live model."""
    found = []
    for provider, tasks in TASKS.items():
        for task in tasks:
            live = [m.name for m in MODELS.values() for s in m.served
                    if s.provider == provider and (s.task or m.task) == task
                    and s.status == "live" and s.lora is None]  # fmt: skip
            found += [(provider, task, live[0])] if live else []
    return found


@pytest.fixture(scope="module")
def behind() -> Iterator[SandboxServer]:
    with serve_in_thread(Sandbox(job_polls=0)) as running:
        yield running


@pytest.fixture(scope="module")
def gateway(behind: SandboxServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with in_front_of(behind, tmp_path_factory.mktemp("gateway")) as started:
        yield started


@pytest.fixture(scope="module")
def ask(packages: Path, gateway: Gateway) -> Ask:
    """Run a scenario with a key of its own."""

    def run(scenario: str, **given: Any) -> Any:
        place = urlsplit(gateway.url)
        told = json.dumps([scenario, given])
        url = f"http://{gateway.new_key()}@{place.netloc}"
        return javascript.run(packages, "gateway_hf.mjs", told, url)

    return run


def test_every_task_of_every_provider_works_jobs_and_files_included(ask: Ask) -> None:
    asked = rows()
    assert len(asked) > 60
    found = ask("tasks", rows=asked, wav=base64.b64encode(wav()).decode())
    failed = {name: told for name, told in found["failed"].items() if told}
    assert (
        failed.pop("hf-inference image-to-text")["name"] == "ProviderOutputError"
    )  # its own affair
    assert failed == {}, json.dumps(failed)
    assert len(found["failed"]) == len(asked)
    polled = {path.split("/")[2] for path in found["seen"] if path.startswith("GET /hf/")}
    assert {"fal-ai", "novita", "together", "wavespeed", "zai-org", "api"} <= polled


def test_every_provider_chats_whole_and_streamed(ask: Ask) -> None:
    found = ask("chats", rows=[[provider, model] for provider, (model, _) in ROUTED.items()])
    assert set(found) == set(ROUTED)
    for answer in found.values():
        assert answer["whole"].startswith("[simulated]")
        assert answer["streamed"] == answer["whole"]


def test_the_router_may_choose_for_a_chat_but_nobody_for_a_task(ask: Ask) -> None:
    found = ask("auto")
    assert found["whole"].startswith("[simulated]")
    assert found["task"]["status"] == 401  # to choose, the library asks the Hub without the key
    assert "POST /hf/v1/chat/completions" in found["seen"]


def test_errors_become_its_own_with_the_status_and_the_request_id(
    ask: Ask, gateway: Gateway
) -> None:
    found = ask("errors")
    key, model = found.pop("key"), found.pop("model")
    assert (key["name"], key["status"]) == ("HubApiError", 401)
    assert "No valid key was given" in key["message"]
    assert (model["name"], model["status"]) == ("HubApiError", 404)
    cut, failed = found.pop("truncated"), found.pop("error-mid-stream")
    assert failed["streamed"]["name"] == "ProviderApiError"
    assert cut["whole"]["name"] == "SyntaxError"  # it came as it was
    for fault, ways in found.items():
        for error in ways.values():
            assert error["name"] == "ProviderApiError"
            assert error["status"] == (502 if fault == "401" else int(fault))
            assert gateway.entry(error["id"])["outcome"] == "refused"


def test_a_stream_that_is_left_ends_the_upstreams_work(ask: Ask, behind: SandboxServer) -> None:
    assert ask("aborted")["name"] == "AbortError"
    asked = [seen for seen in behind.requests if b"fault-stall;" in seen.body]
    eventually(lambda: asked[-1].hung_up, "the upstream's connection is closed")
