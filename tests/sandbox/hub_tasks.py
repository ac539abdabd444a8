"""Tasks through huggingface_hub with `provider=`; run by a test, in a process of its own.

`HF_ENDPOINT` moves that library's Hub. Its router's host is a constant, so a transport of ours
carries what is meant for it to the sandbox. Argument 1 is the sandbox's URL; standard output gets a
JSON object of what came.
"""

from __future__ import annotations

import io
import json
import sys
from typing import Any
from urllib.parse import urlsplit

import httpx2
from huggingface_hub import InferenceClient, set_client_factory
from samples import png, wav


class ToSandbox(httpx2.HTTPTransport):
    """Sends everything to one port of this machine; the Host header stays."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.port = port

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        request.url = request.url.copy_with(scheme="http", host="127.0.0.1", port=self.port)
        return super().handle_request(request)


KEY = "hf_good"
"""Whose calls they are; a gateway's key where one stands in front."""


def ask(provider: Any) -> InferenceClient:
    return InferenceClient(provider=provider, api_key=KEY)


def picture(image: Any) -> list[Any]:
    written = io.BytesIO()
    image.save(written, "PNG")
    return [image.format, *image.size]


LLAMA = "meta-llama/Llama-3.3-70B-Instruct"
FLUX = "black-forest-labs/FLUX.1-schnell"
WHISPER = "openai/whisper-large-v3"
KOKORO = "hexgrad/Kokoro-82M"
VIDEO = "Wan-AI/Wan2.1-T2V-14B"


def pictures() -> dict[str, Any]:
    size: Any = {"width": 64, "height": 32}
    return {
        **{
            f"text_to_image {p}": picture(ask(p).text_to_image("a cat", model=FLUX, **size))
            for p in ("fal-ai", "hf-inference", "nscale", "replicate", "together")
        },
        "lora": picture(ask("fal-ai").text_to_image("x", model="nerijs/pixel-art-xl", **size)),
        "zai": picture(ask("zai-org").text_to_image("x", model="zai-org/GLM-Image", **size)),
        "wavespeed": picture(
            ask("wavespeed").text_to_image("x", model="black-forest-labs/FLUX.1-dev", **size)
        ),
        "image_to_image": picture(
            ask("together").image_to_image(png(), "blue", model="Qwen/Qwen-Image-Edit", **size)
        ),
        "auto": picture(ask("auto").text_to_image("x", model=FLUX, **size)),
    }


def sounds_and_videos() -> dict[str, Any]:
    found: dict[str, Any] = {
        f"text_to_video {p}": ask(p).text_to_video("a dog", model=VIDEO)[4:8].decode()
        for p in ("fal-ai", "novita", "replicate", "wavespeed")
    }
    for p in ("fal-ai", "hf-inference", "deepinfra", "replicate"):
        heard = ask(p).automatic_speech_recognition(wav(), model=WHISPER)
        found[f"transcription {p}"] = heard.text
    for p in ("fal-ai", "deepinfra", "replicate"):
        found[f"speech {p}"] = ask(p).text_to_speech("hello", model=KOKORO)[:4].decode()
    return found


def texts() -> dict[str, Any]:
    own = ask("hf-inference")
    embedding = "Qwen/Qwen3-Embedding-8B"
    mask = own.fill_mask("A [MASK] day", model="google-bert/bert-base-uncased")
    answer: Any = own.question_answering(
        question="Where?", context="Where? Here.", model="deepset/roberta-base-squad2"
    )
    labels: Any = own.zero_shot_classification(
        "space", ["space", "tax"], model="facebook/bart-large-mnli"
    )
    segments = own.image_segmentation(png(8, 4), model="facebook/detr-resnet-50-panoptic")
    return {
        "embedding": list(ask("scaleway").feature_extraction("hi", model=embedding).shape),
        "own embedding": list(own.feature_extraction("hi", model="BAAI/bge-small-en-v1.5").shape),
        "fill_mask": len(mask),
        "answer": answer.answer,
        "label": labels[0].label,
        "summary": own.summarization("One. Two.", model="facebook/bart-large-cnn").summary_text,
        "mask": [segments[0].label, *segments[0].mask.size],
        "generated": ask("featherless-ai").text_generation(
            "Once", model="mistralai/Mixtral-8x7B-v0.1", max_new_tokens=5
        ),
        "similarity": len(
            own.sentence_similarity("a", ["b", "c"], model="sentence-transformers/all-MiniLM-L6-v2")
        ),
    }


def endpoints(url: str) -> dict[str, Any]:
    server = InferenceClient(model=f"{url}/tgi", api_key="hf_good")
    stream = server.text_generation("Once", stream=True, details=True, max_new_tokens=20)
    pieces = list(stream)
    return {
        "tgi": "".join(piece.token.text for piece in pieces),
        "whole": server.text_generation("Once", max_new_tokens=20),
        "reason": pieces[-1].details.finish_reason,
        "tei": list(InferenceClient(model=f"{url}/tei/embed").feature_extraction("hi").shape),
    }


def main() -> None:
    url = sys.argv[1]
    port = urlsplit(url).port or 80
    set_client_factory(lambda: httpx2.Client(transport=ToSandbox(port), timeout=20))
    found = {**pictures(), **sounds_and_videos(), **texts(), **endpoints(url)}
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
