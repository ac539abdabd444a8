"""Embeddings and text completions of Hugging Face's models, which the SDK carries for the gateway."""

from __future__ import annotations

import base64
import json
import struct

import pytest
from running import Gateway

EMBEDDER = "sentence-transformers/all-MiniLM-L6-v2"
TEXT = "huggingface/together/mistralai/Mixtral-8x7B-v0.1"


@pytest.fixture(scope="module")
def key(lax_gateway: Gateway) -> str:
    return lax_gateway.new_key()


def test_texts_become_vectors_in_openai_shape_with_an_entry_each(
    lax_gateway: Gateway, key: str
) -> None:
    wish = {"model": f"huggingface/hf-inference/{EMBEDDER}", "input": ["hello", "hi"]}
    status, headers, body = lax_gateway.ask("POST", "/v1/embeddings", wish, key)
    assert status == 200, body
    assert body["object"] == "list"
    assert [row["index"] for row in body["data"]] == [0, 1]
    row = lax_gateway.entry(headers["x-request-id"])
    assert (row["endpoint"], row["outcome"], row["output_tokens"]) == ("embeddings", "ok", 0)
    assert row["provider"] == "hf-inference"
    wish["encoding_format"] = "base64"
    _, _, packed = lax_gateway.ask("POST", "/v1/embeddings", wish, key)
    raw = base64.b64decode(packed["data"][0]["embedding"])
    floats = struct.unpack(f"<{len(raw) // 4}f", raw)
    assert floats == pytest.approx(body["data"][0]["embedding"], rel=1e-6)


def test_tokens_instead_of_texts_are_refused_before_anything_is_held(
    lax_gateway: Gateway, key: str
) -> None:
    wish = {"model": EMBEDDER, "input": [[1, 2, 3]]}
    status, _, body = lax_gateway.ask("POST", "/v1/embeddings", wish, key)
    assert (status, body["error"]["param"]) == (400, "input")


def test_a_text_is_continued_whole_and_in_pieces(lax_gateway: Gateway, key: str) -> None:
    wish = {"model": TEXT, "prompt": "Once upon a time", "max_tokens": 20}
    status, headers, body = lax_gateway.ask("POST", "/v1/completions", wish, key)
    assert status == 200, body
    text = body["choices"][0]["text"]
    assert text
    assert lax_gateway.entry(headers["x-request-id"])["outcome"] == "ok"
    wish |= {"stream": True, "stream_options": {"include_usage": True}}
    status, headers, raw = lax_gateway.ask("POST", "/v1/completions", wish, key)
    events = [e.removeprefix(b"data: ") for e in raw.split(b"\n\n") if e]
    assert events[-1] == b"[DONE]"
    pieces = [json.loads(event) for event in events[:-1]]
    assert "".join(p["choices"][0]["text"] for p in pieces if p["choices"]) == text
    assert pieces[-1]["usage"]["completion_tokens"] > 0
    assert lax_gateway.entry(headers["x-request-id"])["token_source"] == "provider"


def test_a_model_for_another_task_is_an_error_that_says_so(lax_gateway: Gateway, key: str) -> None:
    wish = {"model": "huggingface/together/black-forest-labs/FLUX.1-dev", "input": "hi"}
    status, headers, body = lax_gateway.ask("POST", "/v1/embeddings", wish, key)
    assert 400 <= status < 500
    assert body["error"]["message"]
    assert lax_gateway.entry(headers["x-request-id"])["outcome"] == "refused"


def test_a_model_that_the_hub_does_not_have_is_not_found(gateway: Gateway) -> None:
    asked = {"model": "nobody/nothing", "input": "x"}
    status, _, body = gateway.ask("POST", "/v1/embeddings", asked, gateway.new_key())
    assert (status, body["error"]["code"]) == (404, "model_not_found")
    assert "The Hub has no model nobody/nothing" in body["error"]["message"]
