"""curl asks a gateway for pictures, sounds, videos and orders: forms with -F, JSON with -d."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from media_line import PNG, WAV, media_gateway
from running import Gateway

from trunkline.sandbox import SandboxServer

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl not found")
HEARD = "[simulated] audio/wav of 64044 bytes, 2 seconds"


@pytest.fixture(scope="module")
def gateway(behind: SandboxServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with media_gateway(behind, tmp_path_factory.mktemp("media")) as started:
        yield started


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.png").write_bytes(PNG)
    (tmp_path / "a.wav").write_bytes(WAV)
    return tmp_path


def curl(gateway: Gateway, key: str, folder: Path, path: str, *options: str) -> bytes:
    run = subprocess.run(
        ["curl", "--silent", "--show-error", "--noproxy", "*", *options]
        + ["-H", f"Authorization: Bearer {key}", f"{gateway.url}/v1/{path}"],
        capture_output=True,
        cwd=folder,
        timeout=30,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def posted(gateway: Gateway, key: str, folder: Path, path: str, **body: Any) -> bytes:
    as_json = ("-H", "Content-Type: application/json", "-d", json.dumps(body))
    return curl(gateway, key, folder, path, *as_json)


def test_a_picture_is_made_and_changed(gateway: Gateway, key: str, folder: Path) -> None:
    wish = {"model": "server/sandbox/any", "prompt": "a cat"}
    told = json.loads(posted(gateway, key, folder, "images/generations", **wish))
    assert told["data"][0]["b64_json"].startswith("iVBOR")
    form = ("-F", "model=server/sandbox/any", "-F", "prompt=in winter", "-F", "image=@a.png")
    told = json.loads(curl(gateway, key, folder, "images/edits", *form, "-F", "size=64x64"))
    assert told["data"][0]["b64_json"].startswith("iVBOR")
    listed = (*form[:4], "-F", "image[]=@a.png", "-F", "image[]=@a.png", "-F", "n=1")
    assert json.loads(curl(gateway, key, folder, "images/edits", *listed))["data"]


def test_a_text_is_said_and_written_down(gateway: Gateway, key: str, folder: Path) -> None:
    wish = {"model": "server/sandbox/any", "input": "Hello there.", "voice": "alloy"}
    assert posted(gateway, key, folder, "audio/speech", **wish).startswith(b"RIFF")
    form = ("-F", "model=openai/whisper-large-v3", "-F", "file=@a.wav")
    assert json.loads(curl(gateway, key, folder, "audio/transcriptions", *form))["text"] == HEARD
    srt = curl(gateway, key, folder, "audio/transcriptions", *form, "-F", "response_format=srt")
    assert srt.decode() == f"1\n00:00:00,000 --> 00:00:02,000\n{HEARD}\n\n"
    form = ("-F", "model=server/sandbox/any", "-F", "file=@a.wav;type=audio/wav;filename=../x")
    told = json.loads(curl(gateway, key, folder, "audio/translations", *form))
    assert told["text"].endswith("in English")


def test_documents_are_put_in_order(gateway: Gateway, key: str, folder: Path) -> None:
    wish = {"model": "BAAI/bge-reranker-v2-m3", "query": "cats", "documents": ["dogs", "cats purr"]}
    told = json.loads(posted(gateway, key, folder, "rerank", **wish))
    assert [row["index"] for row in told["results"]] == [1, 0]


def test_a_video_is_made(gateway: Gateway, key: str, folder: Path) -> None:
    form = ("-F", "model=Wan-AI/Wan2.1-I2V-14B-480P", "-F", "prompt=it moves")
    form = (*form, "-F", "input_reference=@a.png")
    video = json.loads(curl(gateway, key, folder, "videos", *form))
    until = time.monotonic() + 20
    while video["status"] != "completed":
        assert time.monotonic() < until, video
        time.sleep(0.2)
        video = json.loads(curl(gateway, key, folder, f"videos/{video['id']}"))
    content = curl(gateway, key, folder, f"videos/{video['id']}/content")
    assert content[4:8] == b"ftyp"
    head = curl(gateway, key, folder, f"videos/{video['id']}/content", "--head").lower()
    assert head.startswith(b"http/1.1 200") and b"content-type: video/mp4" in head


def test_a_large_upload_waits_to_be_asked_and_is_refused_by_its_size(
    gateway: Gateway, key: str, folder: Path
) -> None:
    (folder / "large.wav").write_bytes(WAV + bytes(3_000_000))
    form = ("-F", "model=server/sandbox/any", "-F", "file=@large.wav")
    told = json.loads(curl(gateway, key, folder, "audio/transcriptions", *form))
    assert told["text"].startswith("[simulated] audio/wav")
    (folder / "huge.wav").write_bytes(WAV + bytes(34_000_000))
    form = ("-F", "model=server/sandbox/any", "-F", "file=@huge.wav")
    told = json.loads(curl(gateway, key, folder, "audio/transcriptions", *form))
    assert told["error"]["code"] == "request_too_large"
    assert "edge.upload_bytes" in told["error"]["message"]
