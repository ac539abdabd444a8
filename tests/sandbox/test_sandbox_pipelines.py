"""hf-inference's pipelines in the sandbox: each task's answer has its form and fits the request."""

from __future__ import annotations

import io
from typing import Any

import msgspec
import pytest
from PIL import Image
from samples import b64, png, wav

from trunkline.sandbox import Reply, Sandbox
from trunkline.sandbox.models import MODELS
from trunkline.types.tasks import TASKS

SST = "distilbert/distilbert-base-uncased-finetuned-sst-2-english"


def said(reply: Reply) -> Any:
    assert reply.status == 200, reply.body
    return msgspec.json.decode(reply.body)


def path(model: str, task: str = "") -> str:
    return f"/hf-inference/models/{model}" + (f"/pipeline/{task}" if task else "")


@pytest.fixture
def ask(asker: Any) -> Any:
    """Ask a model with inputs, and parameters as keywords."""

    def run(model: str, inputs: Any, **parameters: Any) -> Any:
        return said(asker.post(path(model), {"inputs": inputs, "parameters": parameters}))

    return run


def test_texts_are_classified_by_mood(ask) -> None:
    glad, sad = ask(SST, "I love it, great!"), ask(SST, "awful and broken")
    assert [row["label"] for row in glad[0]] == ["POSITIVE", "NEGATIVE"]
    assert [row["label"] for row in sad[0]] == ["NEGATIVE", "POSITIVE"]
    assert sum(row["score"] for row in glad[0]) == pytest.approx(1)
    assert len(ask(SST, "fine", top_k=1)[0]) == 1
    assert len(ask(SST, ["fine", "bad"])) == 2


def test_names_are_found_where_they_stand(ask) -> None:
    text = "My name is Sarah Parker and I live in Berlin"
    model = "dbmdz/bert-large-cased-finetuned-conll03-english"
    found = ask(model, text)
    assert [text[row["start"] : row["end"]] for row in found] == ["Sarah Parker", "Berlin"]
    assert [row["word"] for row in found] == ["Sarah Parker", "Berlin"]
    single = ask(model, text, aggregation_strategy="none")
    assert [row["entity"][:2] for row in single] == ["B-", "I-", "B-"]
    assert "entity_group" not in single[0]


def test_a_mask_is_filled_and_a_text_without_one_refused(asker, ask) -> None:
    found = ask("google-bert/bert-base-uncased", "A [MASK] day", top_k=3)
    assert len(found) == 3
    assert found[0]["sequence"] == f"A {found[0]['token_str']} day"
    assert found[0]["score"] >= found[1]["score"]
    only = ask("FacebookAI/xlm-roberta-base", "A <mask> day", targets=["rainy"])
    assert [row["token_str"] for row in only] == ["rainy"]
    refused = asker.post(path("google-bert/bert-base-uncased"), {"inputs": "A <mask> day"})
    assert refused.status == 400
    assert b"No mask_token ([MASK]) found on the input" in refused.body


def test_summaries_and_translations_use_the_texts_own_words(ask) -> None:
    text = "The tower is tall. It stands in Paris."
    (summary,) = ask("facebook/bart-large-cnn", text)
    assert summary == {"summary_text": "[simulated] The tower is tall."}
    (translated,) = ask("google-t5/t5-base", "Hello", src_lang="en", tgt_lang="fr")
    assert translated == {"translation_text": "[simulated en to fr] Hello"}


def test_an_answer_is_the_sentence_that_shares_words_with_the_question(ask) -> None:
    context = "Cats sleep.  My name is Clara and I live in Berkeley. Dogs bark."
    model = "deepset/roberta-base-squad2"
    found = ask(model, {"question": "Where does Clara live?", "context": context})
    assert found["answer"] == "My name is Clara and I live in Berkeley"
    assert context[found["start"] : found["end"]] == found["answer"]
    several = ask(model, {"question": "Clara?", "context": context}, top_k=2)
    assert len(several) == 2


def test_a_question_without_context_is_refused_with_a_list(asker) -> None:
    refused = asker.post(path("deepset/roberta-base-squad2"), {"inputs": {"question": "Who?"}})
    assert (refused.status, msgspec.json.decode(refused.body)) == (
        400,
        {"error": ["Error in `inputs.context`: field required"]},
    )


def test_a_table_is_asked_for_a_cell(ask) -> None:
    table = {"Name": ["Transformers", "Datasets"], "Stars": ["36542", "4512"]}
    query = "How many stars does datasets have?"
    found = ask("google/tapas-base-finetuned-wtq", {"query": query, "table": table})
    assert found == {
        "answer": "4512",
        "coordinates": [[1, 1]],
        "cells": ["4512"],
        "aggregator": "NONE",
    }


def test_each_row_of_a_table_gets_a_value(asker, ask) -> None:
    data = {"data": {"length": ["1", "2", "3"], "width": ["4", "5", "6"]}}
    classes = ask("vvmnnnkv/wine-quality", data)
    assert [type(value) for value in classes] == [int] * 3
    assert [type(value) for value in ask("scikit-learn/Fish-Weight", data)] == [float] * 3
    uneven = {"inputs": {"data": {"a": ["1"], "b": []}}}
    assert asker.post(path("vvmnnnkv/wine-quality"), uneven).status == 400


def test_labels_that_were_asked_for_are_ranked(ask) -> None:
    labels = ["cooking", "space exploration"]
    found = ask("facebook/bart-large-mnli", "A rocket flew into space", candidate_labels=labels)
    assert [row["label"] for row in found] == ["space exploration", "cooking"]
    assert sum(row["score"] for row in found) == pytest.approx(1)
    several = ask("facebook/bart-large-mnli", "x", candidate_labels=labels, multi_label=True)
    assert sum(row["score"] for row in several) != pytest.approx(1)
    assert len(ask("facebook/bart-large-mnli", ["x", "y"], candidate_labels="a, b")) == 2


def test_one_model_ranks_labels_in_the_older_form(ask) -> None:
    model = "MoritzLaurer/DeBERTa-v3-base-mnli-fever-anli"
    found = ask(model, "space", candidate_labels=["tax", "space"])
    assert found["sequence"] == "space"
    assert found["labels"] == ["space", "tax"]
    assert sum(found["scores"]) == pytest.approx(1)


@pytest.mark.parametrize("labels", [None, [], [3], "", 5])
def test_labels_to_choose_among_are_needed(asker, labels: Any) -> None:
    body = {"inputs": "x", "parameters": {"candidate_labels": labels}}
    assert asker.post(path("facebook/bart-large-mnli"), body).status == 400


def test_vectors_come_flat_for_a_text_and_in_a_list_for_several(asker) -> None:
    model = "BAAI/bge-small-en-v1.5"
    where = path(model, "feature-extraction")
    one = said(asker.post(where, {"inputs": "hello"}))
    several = said(asker.post(where, {"inputs": ["hello", "bye"], "dimensions": 64}))
    assert len(one) == 384
    assert [len(row) for row in several] == [64, 64]
    assert said(asker.post(path(model), {"inputs": "hello"})) == one
    assert asker.post(where, {"inputs": ["a"], "dimensions": 5000}).status == 400
    assert asker.post(where, {"inputs": []}).status == 400


def test_models_of_sentences_answer_both_of_their_tasks_and_no_other(asker) -> None:
    model = "sentence-transformers/all-MiniLM-L6-v2"
    inputs = {"source_sentence": "a happy dog", "sentences": ["a very happy dog", "tax law"]}
    near, far = said(asker.post(path(model, "sentence-similarity"), {"inputs": inputs}))
    assert near > 0.6 > far
    assert len(said(asker.post(path(model, "feature-extraction"), {"inputs": "x"}))) == 384
    assert asker.post(path(model, "summarization"), {"inputs": "x"}).status == 400
    assert asker.post(path(model, "juggling"), {"inputs": "x"}).status == 404
    missing = asker.post(path(model), {"inputs": {"sentences": ["a"]}})
    assert b"received `source_sentence`" in missing.body


def test_texts_are_ranked_for_a_query(ask) -> None:
    texts = ["cooking pasta", "the capital of France is Paris", "tax law"]
    inputs = {"query": "capital of France", "texts": texts}
    found = ask("BAAI/bge-reranker-v2-m3", inputs)
    assert found[0]["index"] == 1
    assert [row["score"] for row in found] == sorted((r["score"] for r in found), reverse=True)


READERS = {
    "google/vit-base-patch16-224": png(),
    "facebook/detr-resnet-50": png(),
    "facebook/detr-resnet-50-panoptic": png(),
    "Salesforce/blip-image-captioning-base": png(),
    "superb/hubert-large-superb-er": wav(),
    "openai/whisper-large-v3": wav(),
    "speechbrain/sepformer-wham": wav(),
}


@pytest.mark.parametrize("model", READERS)
def test_a_file_may_come_as_bytes_or_as_base64(asker, model: str) -> None:
    content = READERS[model]
    raw = said(asker.post(path(model), content, content_type="image/png"))
    packed = said(asker.post(path(model), {"inputs": b64(content), "parameters": {}}))
    assert type(raw) is type(packed)
    assert (raw[0] if isinstance(raw, list) else raw).keys() == (
        packed[0] if isinstance(packed, list) else packed
    ).keys()


@pytest.mark.parametrize("model", READERS)
def test_a_text_instead_of_a_file_is_refused_as_pipelines_do(asker, model: str) -> None:
    sound = READERS[model][:4] == b"RIFF"
    for body in (b"hello there", {"inputs": "hello"}, {"inputs": b64(b"no file")}):
        refused = asker.post(path(model), body)
        assert refused.status == 400
        assert (b"Malformed soundfile" if sound else b"Invalid image") in refused.body
    assert asker.post(path(model), b"").status == 400


def test_a_transcription_says_what_was_heard(ask) -> None:
    found = ask("openai/whisper-large-v3", b64(wav(0.5)), return_timestamps=True)
    assert found["text"] == f"[simulated] audio/wav of {len(wav(0.5))} bytes, 0.5 seconds"
    assert found["chunks"][0]["timestamp"] == [0.0, 0.5]


def test_things_are_found_inside_the_picture(ask) -> None:
    found = ask("facebook/detr-resnet-50", b64(png(40, 20)))
    assert [set(row["box"]) for row in found] == [{"xmin", "ymin", "xmax", "ymax"}] * 2
    assert all(row["box"]["xmax"] <= 40 and row["box"]["ymax"] <= 20 for row in found)
    assert ask("facebook/detr-resnet-50", b64(png()), threshold=1.1) == []


def test_masks_are_pictures_as_large_as_the_one_that_came(asker) -> None:
    import base64

    model = "facebook/detr-resnet-50-panoptic"
    found = said(asker.post(path(model), png(40, 20), content_type="image/png"))
    masks = [Image.open(io.BytesIO(base64.b64decode(row["mask"]))) for row in found]
    assert [mask.size for mask in masks] == [(40, 20), (40, 20)]
    assert masks[0].getpixel((1, 1)) == 255
    assert masks[1].getpixel((1, 1)) == 0


def test_questions_about_pictures_are_answered(ask) -> None:
    inputs = {"image": b64(png()), "question": "How many?"}
    answers = ask("dandelin/vilt-b32-finetuned-vqa", inputs, top_k=2)
    assert len(answers) == 2
    assert set(answers[0]) == {"score", "answer"}
    (found,) = ask("impira/layoutlm-document-qa", inputs)
    assert found["answer"] == str(len(png()))
    labels = ["cat", "dog"]
    ranked = ask("openai/clip-vit-large-patch14", b64(png()), candidate_labels=labels)
    assert {row["label"] for row in ranked} == set(labels)


def test_pictures_are_made_as_large_as_asked_and_depend_on_the_prompt(asker) -> None:
    where = path("black-forest-labs/FLUX.1-schnell")

    def picture(prompt: str, **parameters: Any) -> Image.Image:
        reply = asker.post(where, {"inputs": prompt, "parameters": parameters})
        assert dict(reply.headers)["content-type"] == "image/png"
        made = Image.open(io.BytesIO(reply.body))
        made.load()
        return made

    assert picture("a cat", width=64, height=32).size == (64, 32)
    one, same, other = picture("a cat"), picture("a cat"), picture("a dog")
    assert one.tobytes() == same.tobytes()
    assert one.getpalette() == same.getpalette() != other.getpalette()
    assert asker.post(where, {"inputs": "x", "parameters": {"width": "wide"}}).status == 400
    edited = {"inputs": b64(png()), "parameters": {"target_size": {"width": 8, "height": 4}}}
    reply = asker.post(path("timbrooks/instruct-pix2pix"), edited)
    assert Image.open(io.BytesIO(reply.body)).size == (8, 4)


def test_sounds_are_made_as_wav(asker) -> None:
    for model in ("espnet/kan-bayashi_ljspeech_vits", "facebook/musicgen-small"):
        reply = asker.post(path(model), {"inputs": "hello there"})
        assert dict(reply.headers)["content-type"] == "audio/wav"
        assert reply.body[:4] + reply.body[8:12] == b"RIFFWAVE"


def test_a_text_is_continued_at_the_root_and_under_completions(asker) -> None:
    model = "openai-community/gpt2"
    (root,) = said(asker.post(path(model), {"inputs": "Once"}))
    assert root["generated_text"].startswith("[simulated]")
    body = {"model": model, "prompt": "Once", "max_tokens": 3}
    completion = said(asker.post(f"{path(model)}/v1/completions", body))
    assert completion["choices"][0]["finish_reason"] == "length"
    assert completion["usage"]["completion_tokens"] == 3


def test_who_serves_what_is_checked(asker) -> None:
    body = {"inputs": "x"}
    unknown = asker.post(path("no/such"), body)
    assert (unknown.status, unknown.body) == (404, b'{"error":"Model no/such does not exist"}')
    other = asker.post(path("black-forest-labs/FLUX.1-dev"), body)
    assert other.body == b'{"error":"Model not supported by provider hf-inference"}'
    gated = asker.post(path("stabilityai/stable-diffusion-3.5-large"), body)
    assert gated.status == 403
    assert dict(gated.headers)["x-error-code"] == "GatedRepo"
    assert asker.post(path(SST), body, authorization="").status == 200
    assert asker.post(path(SST), body, authorization="Bearer hf_invalid").status == 401
    assert asker.post(path(SST), {"inputs": "x", "parameters": 3}).status == 400
    masked = {"inputs": "A [MASK]"}
    assert asker.post(path("bert-base-uncased"), masked).status == 200


@pytest.mark.parametrize("task", sorted(set(TASKS) - {"conversational"}))
def test_every_task_has_a_model_and_an_endpoint(asker, task: str) -> None:
    assert [model for model in MODELS.values() if model.task == task]
    assert asker.post(f"/endpoint/{task}", request_for(task)).status == 200
    named = asker.post(path(f"sandbox/{task}-demo"), request_for(task))
    assert named.status == 200
    told = asker.post(path("sandbox/demo"), request_for(task), x_sandbox_task=task)
    assert dict(told.headers)["content-type"] == dict(named.headers)["content-type"]


def request_for(task: str) -> dict[str, Any]:
    """A request that every task's pipeline takes."""
    image, sound = b64(png()), b64(wav())
    inputs: dict[str, Any] = {
        "document-question-answering": {"image": image, "question": "q"},
        "fill-mask": "a [MASK]",
        "question-answering": {"question": "q", "context": "c"},
        "sentence-similarity": {"source_sentence": "a", "sentences": ["b"]},
        "table-question-answering": {"query": "q", "table": {"A": ["1"]}},
        "tabular-classification": {"data": {"A": ["1"]}},
        "tabular-regression": {"data": {"A": ["1"]}},
        "text-ranking": {"query": "q", "texts": ["t"]},
        "visual-question-answering": {"image": image, "question": "q"},
    }
    usual: Any = "hello"
    if "audio-" in task or task == "automatic-speech-recognition":
        usual = sound
    elif "image-" in task or task == "object-detection":
        usual = image
    parameters = {"candidate_labels": ["a", "b"]} if "zero-shot" in task else {}
    return {"inputs": inputs.get(task, usual), "parameters": parameters}


@pytest.mark.parametrize(
    ("body", "key"),
    [
        ({"inputs": {"question": "q", "context": "c"}}, "answer"),
        ({"inputs": {"image": b64(png()), "question": "q"}}, 0),
        (wav(), "text"),
    ],
)
def test_a_name_that_says_no_task_is_asked_by_the_request(asker, body: Any, key: Any) -> None:
    assert said(asker.post(path("sandbox/demo"), body))[key]


def test_a_dedicated_endpoint_serves_known_tasks_only(asker) -> None:
    assert asker.post("/endpoint/juggling", {"inputs": "x"}).status == 404


def test_another_seed_gives_other_answers(ask_with) -> None:
    body = {"inputs": "hello", "parameters": {}}
    one, other = (ask_with(Sandbox(seed=n)).post(path(SST), body) for n in (1, 2))
    assert one.body != other.body
    assert one.body == ask_with(Sandbox(seed=1)).post(path(SST), body).body


def test_loading_is_a_fault_that_can_be_made_short(asker) -> None:
    body = {"inputs": "hello"}
    long = asker.post(path("org/fault-503-loading"), body)
    assert msgspec.json.decode(long.body)["estimated_time"] == 20.0
    short = asker.post(path(SST), body, x_sandbox_fault="flaky-loading;seconds=0.01")
    assert (short.status, msgspec.json.decode(short.body)["estimated_time"]) == (503, 0.01)
    assert asker.post(path(SST), body, x_sandbox_fault="flaky-loading;seconds=0.01").status == 200


@pytest.mark.parametrize("wrong", ["x", [1], {"a": 1}])
def test_a_value_that_nothing_expects_is_answered_too(asker: Any, wrong: Any) -> None:
    body = {"inputs": b64(png()), "parameters": {"threshold": wrong}}
    reply = asker.post("/hf-inference/models/facebook/detr-resnet-50", body)
    assert reply.status == 500
    assert "unknown error" in reply.body.decode()
