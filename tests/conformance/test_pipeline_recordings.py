"""Every good answer of hf-inference that was recorded, chats and streams aside, read by its shape.

What came is compared with the raw body field by field; answers that are none are listed one by one.
"""

from __future__ import annotations

import base64
import json
import statistics
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from recordings import RECORDINGS, needs_recordings

from trunkline.dialects.pipelines import PIPELINES
from trunkline.dialects.shape import Reading, Wish
from trunkline.errors import InvalidResponseError
from trunkline.types.results import (
    EmbeddingResponse,
    ImageResponse,
    Items,
    TextCompletion,
    TextOutput,
    Transcription,
)

pytestmark = needs_recordings

READ = {
    "audio-classification": 4,
    "audio-to-audio": 1,
    "automatic-speech-recognition": 5,
    "conversational-legacy": 8,
    "document-question-answering": 10,
    "feature-extraction": 38,
    "fill-mask": 14,
    "image-classification": 10,
    "image-segmentation": 5,
    "image-to-text": 2,
    "object-detection": 5,
    "question-answering": 7,
    "sentence-similarity": 23,
    "summarization": 10,
    "table-question-answering": 9,
    "tabular-classification": 1,
    "tabular-regression": 2,
    "text-classification": 13,
    "text-generation": 57,
    "text-to-image": 8,
    "text-to-speech": 3,
    "token-classification": 10,
    "translation": 17,
    "visual-question-answering": 15,
    "zero-shot-classification": 13,
    "zero-shot-image-classification": 1,
}
"""Answers that are read, by task."""

CLASSES = "the model classifies sounds and writes no text"
PLAIN = "a custom model answers with a bare word, which is not JSON"
CUT = "the recorded body was cut off after 4,000 characters"
CHAT = "the call was a chat, recorded as text-generation"
NO_FILE_KEPT = ("the recording kept nothing of the file", "it is empty")

UNREADABLE: dict[str, tuple[str, str]] = {  # why it is none, and what its error says
    "383a22ea9224d2fa": (CLASSES, "a list of 2, first an object with score, label"),
    "b8ceb2ab81122d72": (CLASSES, "a list of 2, first an object with score, label"),
    "43d379df0ee77a46": (PLAIN, "it is not JSON"),
    "1c95afb6732fd864": (CUT, "it is not JSON"),
    "dd34b19b0e176fc1": (CUT, "it is not JSON"),
    "f3c1abf13d253441": (CUT, "it is not JSON"),
    "ef85625ad6a1a00d": (CUT, "it is not JSON"),
    "3233d2edece1328e": (CHAT, "an object with object, id, created, model"),
    "11d302c54a16f41d": NO_FILE_KEPT,  # image-to-image
    "536d8375a69d9104": NO_FILE_KEPT,
    "d33170976e0975a1": NO_FILE_KEPT,
    "dec111aed675740a": NO_FILE_KEPT,
    "3de2a4f7bc1f51e3": NO_FILE_KEPT,  # text-to-image
    "3f45aca146d9d243": NO_FILE_KEPT,
    "9c96c44b2dc5f309": NO_FILE_KEPT,
    "be110f6b76e02fd8": NO_FILE_KEPT,
    "d1b1eb742103d604": NO_FILE_KEPT,
    "def490f1cc06701a": NO_FILE_KEPT,
    "1719ccd05637fb77": NO_FILE_KEPT,
    "83b3c220f978ed34": NO_FILE_KEPT,
    "86bf96d62c2a5e91": NO_FILE_KEPT,
    "c1b99974451dee81": NO_FILE_KEPT,
    "4bfa7cba7295358c": NO_FILE_KEPT,  # text-to-speech
    "6804191ae69fd6a7": NO_FILE_KEPT,
    "9954d8512aff4eee": NO_FILE_KEPT,
    "ae3daa1da97232cf": NO_FILE_KEPT,
    "11e802c742f9e927": NO_FILE_KEPT,
    "27612e2bcc57c425": NO_FILE_KEPT,
}


@dataclass(frozen=True)
class Recorded:
    """One answer, and the inputs that it answers as far as they were kept."""

    id: str
    task: str
    reading: Reading
    inputs: Any

    def __str__(self) -> str:
        return f"{self.task}-{self.id}"

    @property
    def raw(self) -> Any:
        return json.loads(self.reading.body)

    def read(self, **parameters: Any) -> Any:
        task = "text-generation" if self.task == "conversational-legacy" else self.task
        return PIPELINES[task].read(self.reading, Wish(task, "m", self.inputs, parameters))


def _load() -> list[Recorded]:
    found: list[Recorded] = []
    for transport in ("router", "direct", "legacy"):
        path = RECORDINGS / f"{transport}.jsonl"
        lines = path.read_text(encoding="utf-8").split("\n")[:-1] if path.is_file() else []
        rows = map(json.loads, lines)
        found += [_recorded(row) for row in rows if _belongs(row)]
    return found


def _belongs(row: dict[str, Any]) -> bool:
    good = row["status"] == 200 and not row["streaming"]
    return good and row["provider"] == "hf-inference" and row["task"] != "conversational"


def _recorded(row: dict[str, Any]) -> Recorded:
    answer = row["response"]
    body = answer["body"] or ""
    packed = answer["body_encoding"] == "base64"
    kind = (answer["headers"].get("content-type") or "").partition(";")[0]
    content = base64.b64decode(body) if packed else body.encode()
    reading = Reading(content, kind, answer["headers"])
    return Recorded(row["id"], row["task"], reading, _inputs(row["request"]["body"]))


def _inputs(body: str | None) -> Any:
    try:
        asked = json.loads(body or "null")
    except ValueError:
        return None
    return asked.get("inputs") if isinstance(asked, dict) else None


ALL = _load()
GOOD = [r for r in ALL if r.id not in UNREADABLE]


def of(*tasks: str) -> pytest.MarkDecorator:
    chosen = [r for r in GOOD if r.task in tasks]
    return pytest.mark.parametrize("recorded", chosen, ids=str)


def test_as_many_answers_are_read_as_were_recorded():
    assert Counter(r.task for r in GOOD) == READ
    assert {r.id for r in ALL} - {r.id for r in GOOD} == set(UNREADABLE)


@pytest.mark.parametrize("name", UNREADABLE)
def test_an_answer_of_another_kind_is_refused_and_says_what_came(name: str):
    (recorded,) = [r for r in ALL if r.id == name]
    _, said = UNREADABLE[name]
    with pytest.raises(InvalidResponseError) as caught:
        recorded.read()
    assert said in str(caught.value)
    assert caught.value.body == recorded.reading.body[:2000].decode("utf-8", "replace")


@of(
    "audio-classification",
    "document-question-answering",
    "fill-mask",
    "image-classification",
    "object-detection",
    "question-answering",
    "table-question-answering",
    "text-classification",
    "token-classification",
    "visual-question-answering",
    "zero-shot-image-classification",
)
def test_rows_come_as_they_were_on_the_wire(recorded: Recorded):
    result, raw = recorded.read(), recorded.raw
    assert isinstance(result, Items)
    rows = raw if isinstance(raw, list) else [raw]
    if isinstance(rows[0], list) and not isinstance(recorded.inputs, list):
        (rows,) = rows
    assert _on_the_wire(result) == rows


def _on_the_wire(items: Any) -> Any:
    if isinstance(items, Items):
        return [_on_the_wire(item) for item in items]
    return items.to_dict()


@of("zero-shot-classification")
def test_labels_apart_from_their_scores_come_together(recorded: Recorded):
    raw = recorded.raw
    rows = raw if isinstance(raw, list) else [raw]
    several = isinstance(recorded.inputs, list)
    results = recorded.read() if several else [recorded.read()]
    assert len(results) == len(rows)
    for result, row in zip(results, rows, strict=True):
        assert [item.label for item in result] == row["labels"]
        assert [item.score for item in result] == row["scores"]
        assert row["scores"] == sorted(row["scores"], reverse=True)


@of("image-segmentation")
def test_masks_are_pictures(recorded: Recorded):
    result, raw = recorded.read(), recorded.raw
    assert len(result) == len(raw) > 1
    for segment, row in zip(result, raw, strict=True):
        assert (segment.label, segment.score) == (row["label"], row["score"])
        assert segment.mask.content.startswith(b"\x89PNG")
        assert segment.mask.b64_json == row["mask"]
        assert segment.mask.media_type == "image/png"


@of("audio-to-audio")
def test_parts_of_a_sound_are_sounds(recorded: Recorded):
    result, raw = recorded.read(), recorded.raw
    assert [part.label for part in result] == [row["label"] for row in raw]
    assert [part.audio.b64_json for part in result] == [row["blob"] for row in raw]
    assert {part.audio.media_type for part in result} == {"audio/flac"}


@of("automatic-speech-recognition")
def test_a_transcription_has_the_text_and_nothing_invented(recorded: Recorded):
    result = recorded.read()
    assert isinstance(result, Transcription)
    assert result.to_dict() == recorded.raw
    assert result.chunks is None


@of("summarization", "translation", "image-to-text")
def test_a_text_also_has_the_wires_own_name(recorded: Recorded):
    raw = recorded.raw
    results = recorded.read()
    if isinstance(recorded.inputs, list):
        assert len(results) == len(recorded.inputs) == len(raw) > 1
    else:
        results = [results]
    for result, row in zip(results, raw, strict=True):
        assert isinstance(result, TextOutput)
        ((name, said),) = row.items()
        assert result.text == result[name] == said != ""


@of("text-generation", "conversational-legacy")
def test_a_continuation_keeps_text_and_details(recorded: Recorded):
    result, raw = recorded.read(), recorded.raw
    rows = raw if isinstance(raw, list) else [raw]
    assert isinstance(result, TextCompletion)
    (choice,), (row,) = result.choices, rows
    assert choice.text == row.pop("generated_text")
    assert choice.extra == row
    details = row.get("details")
    told = details and details["finish_reason"]
    assert choice.finish_reason == (None if told is None else {"eos_token": "stop"}.get(told, told))
    usage = result.usage
    counts = (usage.prompt_tokens, usage.completion_tokens) if usage else (None, None)
    assert counts == _counts(recorded.reading.headers, details or {})
    assert (result.id, result.model, result.created) == (None, None, None)


def _counts(headers: dict[str, str], details: dict[str, Any]) -> tuple[int | None, int | None]:
    prefill = [token["text"] for token in details.get("prefill", [])]
    known = len(prefill) if prefill not in ([], ["<pad>"]) else None
    prompt = headers.get("x-prompt-tokens", known)
    made = details.get("generated_tokens", headers.get("x-generated-tokens"))
    return (None if prompt is None else int(prompt), None if made is None else int(made))


@of("sentence-similarity", "tabular-classification", "tabular-regression")
def test_numbers_come_in_their_order(recorded: Recorded):
    result = recorded.read()
    assert isinstance(result, Items)
    assert list(result) == recorded.raw
    assert len(result) == 3


@of("text-to-image")
def test_an_image_is_the_bytes_that_came(recorded: Recorded):
    result = recorded.read()
    assert isinstance(result, ImageResponse)
    (image,) = result.data
    assert image.content == recorded.reading.body
    assert image.media_type == "image/jpeg"  # also of the two that came without a type
    assert image.content.startswith(b"\xff\xd8\xff")
    assert len(image.content) > 10_000


@of("text-to-speech")
def test_a_sound_is_the_bytes_that_came(recorded: Recorded):
    result = recorded.read()
    assert result.content == recorded.reading.body
    assert result.media_type == "audio/flac"
    assert result.content.startswith(b"fLaC")


VECTORS = [r for r in GOOD if r.task == "feature-extraction"]
POOLED = [r for r in VECTORS if not isinstance(r.raw[0], list)]
OF_TOKENS = [r for r in VECTORS if isinstance(r.raw[0], list)]


def test_vectors_of_texts_and_of_tokens_are_told_apart():
    assert (len(POOLED), len(OF_TOKENS)) == (16, 22)


@pytest.mark.parametrize("recorded", POOLED, ids=str)
def test_a_vector_has_its_numbers(recorded: Recorded):
    result = recorded.read()
    assert isinstance(result, EmbeddingResponse)
    assert result.vectors == [recorded.raw]
    assert len(result.vectors[0]) in (384, 768)
    assert (result.usage, result.model) == (None, None)


@pytest.mark.parametrize("recorded", OF_TOKENS, ids=str)
def test_vectors_of_tokens_are_refused_until_it_is_said_how_to_pool(recorded: Recorded):
    with pytest.raises(InvalidResponseError, match='Pass pooling="mean"'):
        recorded.read()


POOLINGS: dict[str, Callable[[list[list[float]]], Any]] = {
    "mean": lambda tokens: pytest.approx([statistics.fmean(c) for c in zip(*tokens, strict=True)]),
    "cls": lambda tokens: tokens[0],
    "none": lambda tokens: tokens,
}


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("recorded", OF_TOKENS, ids=str)
def test_vectors_of_tokens_are_pooled_for_each_text(recorded: Recorded, pooling: str):
    raw = recorded.raw
    several = isinstance(recorded.inputs, list)
    texts = [part for (part,) in raw] if several else raw
    result = recorded.read(pooling=pooling)
    assert [row.index for row in result.data] == list(range(len(texts)))
    assert len(texts) == (len(recorded.inputs) if several else 1)
    assert [row.embedding for row in result.data] == [POOLINGS[pooling](t) for t in texts]
