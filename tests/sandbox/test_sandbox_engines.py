"""TEI and TGI as the sandbox plays them."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from trunkline.sandbox import Reply


def said(reply: Reply) -> Any:
    assert reply.status == 200, reply.body
    return msgspec.json.decode(reply.body)


@pytest.fixture
def tei(asker: Any) -> Any:
    """POST to a route of TEI's."""
    return lambda route, **body: asker.post(f"/tei/{route}", body, authorization="")


@pytest.fixture
def tgi(asker: Any) -> Any:
    """POST to a route of TGI's."""
    return lambda route, **body: asker.post(f"/tgi{route}", body, authorization="")


def test_tei_embeds_one_text_or_several_always_in_a_list(tei) -> None:
    one = said(tei("embed", inputs="hello"))
    assert [len(row) for row in one] == [384]
    assert said(tei("embed", inputs=["hello", "bye"]))[0] == one[0]
    assert said(tei("", inputs="hello")) == one
    assert [len(row) for row in said(tei("embed", inputs="x", dimensions=16))] == [16]


def test_teis_vectors_may_be_one_a_token_or_sparse(tei) -> None:
    (tokens,) = said(tei("embed_all", inputs="hello there"))
    assert [len(row) for row in tokens] == [384, 384]
    (weights,) = said(tei("embed_sparse", inputs="to be to"))
    assert sorted(row["value"] for row in weights) == [1.0, 2.0]
    assert all(set(row) == {"index", "value"} for row in weights)


def test_tei_ranks_and_says_the_texts_where_asked(tei) -> None:
    texts = ["blue sky", "an apple"]
    plain = said(tei("rerank", query="red apples", texts=texts))
    assert [row["index"] for row in plain] == [1, 0]
    assert all(0 < row["score"] < 1 for row in plain)
    raw = said(tei("rerank", query="red apples", texts=texts, raw_scores=True, return_text=True))
    assert raw[0]["text"] == "an apple"
    assert raw[1]["score"] < 0


def test_tei_classifies_texts_pairs_and_batches(tei) -> None:
    single = said(tei("predict", inputs="x"))
    assert {row["label"] for row in single} == {"LABEL_0", "LABEL_1"}
    assert len(said(tei("predict", inputs=["a", "b"]))) == 2  # a pair: two labels
    assert [len(row) for row in said(tei("predict", inputs=[["a"], ["b"], ["c"]]))] == [2, 2, 2]


def test_tei_compares_sentences(tei) -> None:
    inputs = {"source_sentence": "a happy dog", "sentences": ["a happy dog", "tax law"]}
    near, far = said(tei("similarity", inputs=inputs))
    assert near == pytest.approx(1)
    assert far < 0.5


def test_tei_speaks_openais_form(tei) -> None:
    found = said(tei("v1/embeddings", input=["a", "b"], model="x", dimensions=8))
    assert found["model"] == "x"
    assert [row["index"] for row in found["data"]] == [0, 1]
    packed = said(tei("v1/embeddings", input="a", encoding_format="base64"))
    assert isinstance(packed["data"][0]["embedding"], str)
    refused = tei("v1/embeddings", input="")
    assert (refused.status, msgspec.json.decode(refused.body)) == (
        400,
        {"message": "`inputs` cannot be empty", "code": 400, "error_type": "Empty"},
    )


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        ({"inputs": ["x"] * 33}, 413, "Validation"),
        ({"inputs": "word " * 600}, 413, "Validation"),
        ({"inputs": []}, 400, "Empty"),
        ({"inputs": ["a", ""]}, 400, "Empty"),
        ({"inputs": 3}, 422, "Tokenizer"),
        ({"inputs": "x", "dimensions": 9999}, 413, "Validation"),
    ],
)
def test_tei_refuses_in_its_own_words(tei, body: dict[str, Any], status: int, kind: str) -> None:
    refused = tei("embed", **body)
    assert refused.status == status
    assert msgspec.json.decode(refused.body)["error_type"] == kind


def test_teis_limits_are_told_and_held(asker, tei) -> None:
    info = said(asker.get("/tei/info"))
    assert info["max_client_batch_size"] == 32
    assert "embedding" in info["model_type"]
    assert len(said(tei("embed", inputs=["x"] * 32))) == 32
    too_many = msgspec.json.decode(tei("rerank", query="q", texts=["x"] * 33).body)
    assert too_many["error"] == "batch size 33 > maximum allowed batch size 32"
    assert tei("predict", inputs=[["x"]] * 33).status == 413
    assert tei("embed", inputs="word " * 600, truncate=True).status == 200
    assert asker.get("/tei/health").status == 200
    assert asker.get("/tei/embed").status == 405
    assert asker.get("/tei/nothing").status == tei("nothing").status == 404


def test_tgi_generates_whole_and_at_its_root_in_a_list(tgi) -> None:
    whole = said(tgi("/generate", inputs="Once"))
    assert whole["generated_text"].startswith("[simulated]")
    assert said(tgi("/", inputs="Once")) == said(tgi("", inputs="Once")) == [whole]
    full = said(tgi("/generate", inputs="Once", parameters={"return_full_text": True}))
    assert full["generated_text"].startswith("Once[simulated]")


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"max_new_tokens": 2}, "length"),
        ({"max_new_tokens": 500}, "eos_token"),
        ({"stop": ["said"]}, "stop_sequence"),
    ],
)
def test_tgis_details_say_why_a_text_ended(tgi, parameters: dict[str, Any], reason: str) -> None:
    parameters = {**parameters, "details": True, "seed": 7}
    found = said(tgi("/generate", inputs="Once", parameters=parameters))
    details = found["details"]
    assert (details["finish_reason"], details["seed"], details["prefill"]) == (reason, 7, [])
    assert details["generated_tokens"] == len(details["tokens"])
    assert "".join(token["text"] for token in details["tokens"]) == found["generated_text"]


def test_tgis_stream_ends_with_the_text_and_without_done(tgi) -> None:
    whole = said(tgi("/generate", inputs="Once"))["generated_text"]
    for route, body in (("/generate_stream", {}), ("/", {"stream": True})):
        reply = tgi(route, inputs="Once", **body)
        assert dict(reply.headers)["content-type"] == "text/event-stream"
        assert all(step.startswith(b"data:{") for step in reply.steps)
        events = [json.loads(step[5:]) for step in reply.steps]
        assert [event["index"] for event in events] == list(range(1, len(events) + 1))
        assert "".join(event["token"]["text"] for event in events) == whole
        assert {event["generated_text"] for event in events[:-1]} == {None}
        assert events[-1]["generated_text"] == whole
        assert events[-1]["details"]["generated_tokens"] == len(events)


def test_tgi_follows_a_grammar(tgi) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    grammar = {"type": "json", "value": schema}
    found = said(tgi("/generate", inputs="x", parameters={"grammar": grammar}))
    assert isinstance(json.loads(found["generated_text"])["n"], int)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"inputs": "x", "parameters": {"max_new_tokens": 5000}}, b"must be <= 4096"),
        ({"inputs": "x", "parameters": {"max_new_tokens": -1}}, b"must be strictly positive"),
        ({"inputs": ""}, b"`inputs` cannot be empty"),
        ({"inputs": ["x"]}, b"expected a string"),
        ({}, b"missing field `inputs`"),
    ],
)
def test_tgi_refuses_with_422(tgi, body: dict[str, Any], words: bytes) -> None:
    refused = tgi("/generate", **body)
    assert refused.status == 422
    assert words in refused.body


def test_tgi_chats_and_completes_and_says_what_it_is(asker, tgi) -> None:
    messages = [{"role": "user", "content": "Hello"}]
    chat = said(tgi("/v1/chat/completions", model="tgi", messages=messages))
    assert chat["choices"][0]["message"]["content"].startswith("[simulated]")
    assert tgi("/v1/chat/completions", model="tgi", messages="Hello").status == 422
    completion = said(tgi("/v1/completions", model="tgi", prompt="Hello"))
    assert completion["object"] == "text_completion"
    info = said(asker.get("/tgi/info"))
    assert (info["router"], info["max_total_tokens"]) == ("text-generation-router", 4096)
    assert said(asker.get("/tgi/v1/models"))["data"][0]["id"] == info["model_id"]
    assert asker.get("/tgi/health").status == 200
    assert asker.get("/tgi/generate").status == 405
    assert tgi("/nothing").status == 404
