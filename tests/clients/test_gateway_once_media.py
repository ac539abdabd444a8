"""Pictures and sounds under a name: a form is known again though its boundary is another in each try."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest
from media_line import WAV, media_gateway
from running import Gateway

from trunkline.sandbox import SandboxServer

WHISPER = "openai/whisper-large-v3"
FLUX = "black-forest-labs/FLUX.1-schnell"


@pytest.fixture(scope="module")
def gateway(behind: SandboxServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with media_gateway(behind, tmp_path_factory.mktemp("media")) as started:
        yield started


@pytest.fixture(scope="module")
def client(gateway: Gateway, key: str) -> Iterator[openai.OpenAI]:
    made = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=key, max_retries=0, timeout=30)
    with made:
        yield made


@pytest.mark.parametrize("model", ["server/sandbox/any", WHISPER, f"huggingface/fal-ai/{WHISPER}"])
def test_a_recording_is_written_down_once(
    client: openai.OpenAI, gateway: Gateway, model: str
) -> None:
    def ask(sound: bytes, name: str = model) -> Any:
        return client.audio.transcriptions.with_raw_response.create(
            model=model, file=("a.wav", sound), extra_headers={"Idempotency-Key": name}
        )

    before = len(gateway.ledger())
    first, again = ask(WAV), ask(WAV)
    boundaries = {r.http_request.headers["content-type"] for r in (first, again)}
    assert len(boundaries) == 2
    assert again.headers["idempotent-replayed"] == "true"
    assert again.text == first.text
    with pytest.raises(openai.UnprocessableEntityError):
        ask(WAV[:-2] + b"xx")
    gateway.entry(first.headers["x-request-id"])
    assert len(gateway.ledger()) == before + 1


@pytest.mark.parametrize("model", ["server/sandbox/any", FLUX, f"huggingface/fal-ai/{FLUX}"])
def test_a_picture_is_made_once(client: openai.OpenAI, model: str) -> None:
    first, again = (
        client.images.with_raw_response.generate(
            model=model,
            prompt="a cat",
            size="64x32",
            response_format="b64_json",
            extra_headers={"Idempotency-Key": f"picture {model}"},
        )
        for _ in range(2)
    )
    assert again.headers["idempotent-replayed"] == "true"
    assert again.text == first.text


def test_a_text_is_said_aloud_once(client: openai.OpenAI) -> None:
    first, again = (
        client.audio.speech.create(
            model="espnet/kan-bayashi_ljspeech_vits",
            input="Hello there.",
            voice=openai.omit,
            extra_headers={"Idempotency-Key": "aloud"},
        )
        for _ in range(2)
    )
    assert again.response.headers["idempotent-replayed"] == "true"
    assert again.content == first.content
    assert again.response.headers["content-type"] == "audio/wav"
