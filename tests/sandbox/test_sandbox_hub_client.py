"""huggingface_hub's own client, unchanged, does its tasks against the sandbox."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from samples import wav

from trunkline.sandbox import Sandbox, serve_in_thread


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    """What that library was given, task by task."""
    script = Path(__file__).with_name("hub_tasks.py")
    with serve_in_thread(Sandbox(job_polls=0)) as server:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        run = subprocess.run(
            [sys.executable, script, server.url],
            env={**kept, "HF_ENDPOINT": server.url, "NO_PROXY": "127.0.0.1,localhost"},
            capture_output=True,
            text=True,
            timeout=100,
        )
    assert run.returncode == 0, run.stderr
    answer: dict[str, Any] = json.loads(run.stdout)
    return answer


@pytest.mark.parametrize("provider", ["fal-ai", "hf-inference", "nscale", "replicate", "together"])
def test_pictures_arrive_as_large_as_asked(found, provider: str) -> None:
    assert found[f"text_to_image {provider}"] == ["PNG", 64, 32]


@pytest.mark.parametrize("name", ["lora", "zai", "wavespeed", "auto"])
def test_loras_queues_and_the_hubs_first_provider_make_pictures(found, name: str) -> None:
    assert found[name] == ["PNG", 64, 32]


def test_a_picture_is_changed(found) -> None:
    assert found["image_to_image"] == ["PNG", 64, 32]


@pytest.mark.parametrize("provider", ["fal-ai", "novita", "replicate", "wavespeed"])
def test_videos_arrive(found, provider: str) -> None:
    assert found[f"text_to_video {provider}"] == "ftyp"


@pytest.mark.parametrize("provider", ["fal-ai", "hf-inference", "deepinfra", "replicate"])
def test_sounds_are_told(found, provider: str) -> None:
    said = f"[simulated] audio/wav of {len(wav())} bytes, 0.5 seconds"
    assert found[f"transcription {provider}"] == said


@pytest.mark.parametrize("provider", ["fal-ai", "deepinfra", "replicate"])
def test_texts_are_said(found, provider: str) -> None:
    assert found[f"speech {provider}"] == "RIFF"


def test_tasks_of_text_come_back_in_that_librarys_own_types(found) -> None:
    assert found["embedding"] == [1, 384]
    assert found["own embedding"] == [384]
    assert found["fill_mask"] == 5
    assert found["answer"] == "Where"
    assert found["label"] == "space"
    assert found["summary"] == "[simulated] One."
    assert found["mask"] == ["LABEL_0", 8, 4]
    assert found["generated"].startswith("[simulated]")
    assert found["similarity"] == 2


def test_engines_are_spoken_to_as_dedicated_endpoints(found) -> None:
    assert found["tgi"] == found["whole"]
    assert found["reason"] == "length"
    assert found["tei"] == [1, 384]
