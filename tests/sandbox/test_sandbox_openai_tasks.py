"""Tasks in OpenAI's forms at the providers' own routes in the sandbox."""

from __future__ import annotations

import base64
import io
import json
import struct
from typing import Any

import msgspec
import pytest
from PIL import Image
from samples import data_url, form, png, wav

from trunkline.sandbox import Reply, Sandbox

V1 = {"deepinfra": "/deepinfra/v1/openai", "novita": "/novita/v3/openai"}


def said(reply: Reply) -> Any:
    assert reply.status == 200, reply.body
    return msgspec.json.decode(reply.body)


def place(provider: str, name: str) -> str:
    return f"{V1.get(provider, f'/{provider}/v1')}/{name}"


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("deepinfra", "Qwen/Qwen3-8B-Base"),
        ("featherless-ai", "mistralai/Mixtral-8x7B-v0.1"),
        ("novita", "qwen/qwen3-8b-base"),
        ("ovhcloud", "Qwen3-8B-Base"),
        ("scaleway", "qwen3-8b-base"),
        ("together", "mistralai/Mixtral-8x7B-v0.1"),
    ],
)
def test_a_text_is_continued_whole_and_in_pieces(asker, provider: str, model: str) -> None:
    where = place(provider, "completions")
    body = {"model": model, "prompt": "Once", "max_tokens": 5}
    whole = said(asker.post(where, body))
    (choice,) = whole["choices"]
    assert (whole["object"], choice["finish_reason"]) == ("text_completion", "length")
    streamed = asker.post(where, {**body, "stream": True})
    events = [json.loads(step[6:]) for step in streamed.steps if b"[DONE]" not in step]
    assert "".join(event["choices"][0]["text"] for event in events) == choice["text"]
    assert events[-1]["choices"][0]["finish_reason"] == "length"
    assert events[-1]["usage"] == whole["usage"]
    assert list(streamed.steps)[-1] == b"data: [DONE]\n\n"


def test_several_prompts_several_choices_and_the_prompt_itself(asker) -> None:
    where = place("together", "completions")
    body = {"model": "mistralai/Mixtral-8x7B-v0.1", "prompt": ["One", "Two"], "echo": True, "n": 2}
    choices = said(asker.post(where, body))["choices"]
    assert [choice["index"] for choice in choices] == [0, 1, 2, 3]
    assert [choice["text"][:3] for choice in choices] == ["One", "One", "Two", "Two"]
    for wrong in ({"prompt": 3}, {"prompt": []}, {"prompt": "x", "max_tokens": 0}):
        assert asker.post(where, {"model": body["model"], **wrong}).status == 400


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("deepinfra", "Qwen/Qwen3-Embedding-8B"),
        ("scaleway", "qwen3-embedding-8b"),
        ("together", "intfloat/multilingual-e5-large-instruct"),
    ],
)
def test_texts_become_vectors_as_floats_or_base64(asker, provider: str, model: str) -> None:
    where = place(provider, "embeddings")
    body = {"model": model, "input": ["one", "two"], "dimensions": 8}
    found = said(asker.post(where, body))
    assert [row["index"] for row in found["data"]] == [0, 1]
    packed = said(asker.post(where, {**body, "encoding_format": "base64"}))
    numbers = struct.unpack("<8f", base64.b64decode(packed["data"][0]["embedding"]))
    assert list(numbers) == pytest.approx(found["data"][0]["embedding"])
    assert found["usage"]["prompt_tokens"] > 0
    assert asker.post(where, {"model": model, "input": ""}).status == 400
    assert asker.post(where, {"model": model, "input": ["x"] * 2049}).status == 400


def test_vectors_can_be_made_by_somebody_else(ask_with) -> None:
    def embed(texts: list[str]) -> list[list[float]]:
        return [[float(len(text)), 1.0] for text in texts]

    asker = ask_with(Sandbox(embed=embed))
    body = {"model": "qwen3-embedding-8b", "input": ["a", "abc"]}
    found = said(asker.post(place("scaleway", "embeddings"), body))
    assert [row["embedding"] for row in found["data"]] == [[1.0, 1.0], [3.0, 1.0]]
    inside = asker.post("/hf-inference/models/BAAI/bge-small-en-v1.5", {"inputs": "abc"})
    assert said(inside) == [3.0, 1.0]
    assert said(asker.post("/tei/embed", {"inputs": "ab"})) == [[2.0, 1.0]]


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("deepinfra", "Qwen/Qwen3-Reranker-8B"),
        ("together", "Qwen/Qwen3-Reranker-8B"),
        ("novita", "qwen/qwen3-reranker-8b"),
        ("scaleway", "qwen3-reranker-8b"),
    ],
)
def test_documents_are_ranked(asker, provider: str, model: str) -> None:
    body = {"model": model, "query": "red apples", "documents": ["blue sky", {"text": "an apple"}]}
    where = place(provider, "rerank")
    results = said(asker.post(where, body))["results"]
    assert [row["index"] for row in results] == [1, 0]
    assert "document" not in results[0]
    more = {"top_n": 1, "return_documents": True}
    (best,) = said(asker.post(where, {**body, **more}))["results"]
    assert best["document"] == {"text": "an apple"}
    assert asker.post(where, {**body, "documents": []}).status == 400


FLUX = "black-forest-labs/FLUX.1-schnell"


def test_pictures_come_in_the_form_that_was_asked_for(asker) -> None:
    body = {"prompt": "x", "model": FLUX, "width": 64, "height": 32, "n": 2}
    where = place("together", "images/generations")
    packed = said(asker.post(where, {**body, "response_format": "base64"}))
    assert [row["index"] for row in packed["data"]] == [0, 1]
    one, other = (base64.b64decode(row["b64_json"]) for row in packed["data"])
    assert Image.open(io.BytesIO(one)).size == (64, 32)
    assert one != other
    for form_asked in ({}, {"response_format": "url"}):
        (first, _) = said(asker.post(where, {**body, **form_asked}))["data"]
        assert first["url"].endswith("-64x32.png")
    sized = {"prompt": "x", "model": FLUX, "size": "16x8", "response_format": "b64_json"}
    (found,) = said(asker.post(place("nscale", "images/generations"), sized))["data"]
    assert Image.open(io.BytesIO(base64.b64decode(found["b64_json"]))).size == (16, 8)
    assert asker.post(where, {**body, "size": "large"}).status == 400
    assert asker.post(where, {"model": FLUX}).status == 400


def test_together_takes_a_picture_under_the_name_that_its_model_knows(asker) -> None:
    where = place("together", "images/generations")
    shown = data_url(png())
    kontext = {"model": "black-forest-labs/FLUX.1-kontext-dev", "prompt": ""}
    assert asker.post(where, {**kontext, "image_url": shown}).status == 200
    refused = asker.post(where, {**kontext, "prompt": "x", "reference_images": [shown]})
    assert b"reference_images is not supported" in refused.body
    edit = {"model": "Qwen/Qwen-Image-Edit", "prompt": "x"}
    assert asker.post(where, {**edit, "reference_images": [shown]}).status == 200
    assert asker.post(where, {**edit, "image_url": "hello"}).status == 400


@pytest.mark.parametrize("provider", ["deepinfra", "together"])
def test_a_text_is_said(asker, provider: str) -> None:
    where = place(provider, "audio/speech")
    body = {"model": "hexgrad/Kokoro-82M", "input": "hello there"}
    reply = asker.post(where, {**body, "voice": "af_alloy"})
    assert dict(reply.headers)["content-type"] == "audio/wav"
    assert reply.body[:4] == b"RIFF"
    voiceless = asker.post(where, body)
    assert voiceless.status == (400 if provider == "together" else 200)


WHISPER = "openai/whisper-large-v3"


@pytest.mark.parametrize("provider", ["deepinfra", "together"])
def test_a_sound_is_told_from_a_form(asker, provider: str) -> None:
    where = place(provider, "audio/transcriptions")
    body, kind = form({"file": ("audio.wav", wav()), "model": WHISPER})
    found = said(asker.post(where, body, content_type=kind))
    assert found["text"] == f"[simulated] audio/wav of {len(wav())} bytes, 0.5 seconds"
    assert ("segments" in found) is (provider == "deepinfra")
    more = {"response_format": "verbose_json", "language": "fr"}
    body, kind = form({"file": ("audio.wav", wav()), "model": WHISPER, **more})
    verbose = said(asker.post(where, body, content_type=kind))
    assert (verbose["language"], verbose["segments"][0]["end"]) == ("fr", 0.5)
    body, kind = form({"file": ("a.wav", wav()), "model": WHISPER, "response_format": "text"})
    assert asker.post(where, body, content_type=kind).body == found["text"].encode()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"model": WHISPER}, b"'file' is missing"),
        ({"model": WHISPER, "file": ("audio", wav())}, b"a name without an ending"),
        ({"model": WHISPER, "file": ("a.wav", b"hello")}, b"'file' is no audio"),
        ({"file": ("a.wav", wav())}, b"Model not supported"),
        ({"model": "no/such", "file": ("a.wav", wav())}, b"Model not supported"),
    ],
)
def test_a_wrong_form_is_refused(asker, fields: dict[str, Any], words: bytes) -> None:
    body, kind = form(fields)
    refused = asker.post(place("deepinfra", "audio/transcriptions"), body, content_type=kind)
    assert refused.status == 400
    assert words in refused.body


@pytest.mark.parametrize(
    "break_it",
    [
        lambda body: body[4:],
        lambda body: body[:-6],
        lambda body: body.replace(b"form-data", b"attachment"),
        lambda body: body.replace(b"\r\n\r\n", b"\r\n"),
        lambda body: body + b"more",
    ],
)
def test_a_form_that_is_none_is_refused(asker, break_it: Any) -> None:
    body, kind = form({"file": ("a.wav", wav()), "model": WHISPER})
    where = place("deepinfra", "audio/transcriptions")
    refused = asker.post(where, break_it(body), content_type=kind)
    assert refused.status == 400
    assert b"The form cannot be read" in refused.body
    unbounded = asker.post(where, body, content_type="multipart/form-data")
    assert b"names no boundary" in unbounded.body


def test_json_is_no_form_and_a_fault_is_found_in_one(asker) -> None:
    where = place("together", "audio/transcriptions")
    assert asker.post(where, {"model": WHISPER}, content_type="application/json").status == 415
    body, kind = form({"model": "org/fault-402", "file": ("a.wav", wav())})
    assert asker.post(where, body, content_type=kind).status == 402
    body, kind = form({"model": WHISPER, "file": "https://example.org/a.wav"})
    heard = said(asker.post(where, body, content_type=kind))
    assert heard["text"] == "[simulated] a file at example.org"


def test_a_page_is_read_by_zai(asker) -> None:
    where = "/zai-org/api/paas/v4/layout_parsing"
    found = said(asker.post(where, {"model": "glm-ocr", "file": data_url(png())}))
    assert "image/png of" in found["md_results"]
    assert asker.post(where, {"model": "glm-ocr", "file": "x"}).status == 400


@pytest.mark.parametrize(
    "path",
    [
        "/together/v1/embeddings",
        "/together/v1/rerank",
        "/together/v1/audio/speech",
        "/nscale/v1/images/generations",
    ],
)
def test_a_model_for_another_task_is_not_supported(asker, path: str) -> None:
    provider = path.split("/")[1]
    body = {"model": "meta-llama/Llama-3.3-70B-Instruct", "input": "x", "prompt": "x", "query": "x"}
    refused = asker.post(path, body)
    assert (refused.status, msgspec.json.decode(refused.body)) == (
        400,
        {"error": f"Model not supported by provider {provider}"},
    )
    assert asker.post(path, body, authorization="").status == 401


def test_gated_models_are_refused_before_they_are_asked(asker) -> None:
    refused = asker.post("/fal-ai/fal-ai/stable-diffusion-v35-large", {"prompt": "x"})
    assert (refused.status, dict(refused.headers)["x-error-code"]) == (403, "GatedRepo")


def test_in_process_any_name_answers_and_needs_no_token() -> None:
    from trunkline.sandbox import InProcessTransport
    from trunkline.types import Timeouts
    from trunkline.wire.message import HttpRequest, Url

    transport = InProcessTransport()
    for path, body in (
        ("/deepinfra/v1/openai/embeddings", {"model": "demo", "input": "x"}),
        ("/fal-ai/demo?_subdomain=queue", {"prompt": "x"}),
        ("/fal-ai/demo", {"prompt": "x"}),
        ("/wavespeed/api/v3/demo", {"prompt": "x"}),
        ("/hf-inference/models/demo", {"inputs": "x"}),
        ("/hf-inference/models/demo/v1/chat/completions",
         {"model": "demo", "messages": [{"role": "user", "content": "x"}]}),
        ("/together/v1/chat/completions",
         {"model": "demo", "messages": [{"role": "user", "content": "x"}]}),
    ):  # fmt: skip
        url = Url("sandbox", "sandbox", 0, path)
        asked = HttpRequest("POST", url, (), msgspec.json.encode(body))
        exchange = transport.open(asked, Timeouts(), 1e12)
        data = b"".join(iter(lambda exchange=exchange: exchange.read(1e12), b""))
        assert exchange.head.status == 200, data
        if path == "/fal-ai/demo":
            assert b'"url":"sandbox://sandbox/files/' in data
        exchange.close()


def test_a_server_of_ones_own_changes_pictures_from_a_form(asker) -> None:
    body, kind = form(
        {"image[]": ("a.png", png()), "mask": ("b.png", png()), "model": "sandbox/m", "prompt": "p"}
    )
    answer = said(asker.post("/server/v1/images/edits", body, content_type=kind))
    shown = Image.open(io.BytesIO(base64.b64decode(answer["data"][0]["b64_json"])))
    assert shown.size == (1024, 768)
    assert answer["usage"]["total_tokens"] == 30
    body, kind = form(
        {"image": ("a.png", png()), "model": "sandbox/m", "response_format": "url", "size": "64x32"}
    )
    answer = said(asker.post("/server/v1/images/edits", body, content_type=kind))
    assert answer["data"][0]["url"].endswith("-64x32.png")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"model": "sandbox/m", "prompt": "p"}, b"'image' is missing"),
        ({"model": "sandbox/m", "image": "https://example.org/a.png"}, b"'image' is missing"),
        ({"model": "sandbox/m", "image": ("a.png", b"hello")}, b"'image' is no image"),
        ({"image": ("a.png", png())}, b"Model not supported"),
    ],
)
def test_a_wrong_picture_is_refused(asker, fields: dict[str, Any], words: bytes) -> None:
    body, kind = form(fields)
    refused = asker.post("/server/v1/images/edits", body, content_type=kind)
    assert refused.status == 400
    assert words in refused.body


def test_a_sound_is_told_in_english_by_a_server_of_ones_own(asker) -> None:
    body, kind = form({"file": ("a.wav", wav()), "model": "sandbox/m"})
    told = said(asker.post("/server/v1/audio/translations", body, content_type=kind))
    assert told["text"].endswith("in English")
    unread = asker.post("/server/v1/audio/translations", {"model": "sandbox/m"})
    assert unread.status == 415
    assert (
        asker.post(place("together", "audio/translations"), body, content_type=kind).status == 400
    )
