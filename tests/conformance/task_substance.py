"""What a replayed result must hold: each value that came on the wire, and nothing that did not."""

from __future__ import annotations

import base64
import json
import statistics
from collections.abc import Callable
from typing import Any

import pytest
from task_plans import Plan
from task_replay import file_at

from trunkline.types.media import Media
from trunkline.types.results import (
    AudioPart,
    EmbeddingResponse,
    ImageResponse,
    Items,
    Segment,
    TextCompletion,
    TextOutput,
    Transcription,
)

Check = Callable[[Any, Plan], None]


def check(result: Any, plan: Plan) -> None:
    """Compare a result with the raw answer, by its task."""
    CHECKS[plan.task](result, plan)


def _raw(plan: Plan) -> Any:
    return json.loads(plan.last.body)


def _lists(plan: Plan) -> list[Any]:
    """Return the rows of an answer, those of a text alone without the list around them."""
    raw = _raw(plan)
    rows = raw if isinstance(raw, list) else [raw]
    wrapped = isinstance(rows[0], list) and not isinstance(plan.inputs, list)
    return rows[0] if wrapped else rows


def _wire(items: Any) -> Any:
    return [_wire(item) for item in items] if isinstance(items, Items) else items.to_dict()


def _rows(result: Any, plan: Plan) -> None:
    assert isinstance(result, Items)
    assert _wire(result) == _lists(plan)


def _zero_shot(result: Any, plan: Plan) -> None:
    raw = _raw(plan)
    rows = raw if isinstance(raw, list) else [raw]
    results = result if isinstance(plan.inputs, list) else [result]
    assert [[(item.label, item.score) for item in row] for row in results] == [
        list(zip(row["labels"], row["scores"], strict=True)) for row in rows
    ]


def _numbers(result: Any, plan: Plan) -> None:
    assert isinstance(result, Items)
    assert list(result) == _raw(plan)
    assert len(result) == 3


def _text(result: Any, plan: Plan) -> None:
    rows = _lists(plan)
    results = result if isinstance(plan.inputs, list) else [result]
    assert [row.text for row in results] == [next(iter(row.values())) for row in rows]
    assert all(isinstance(row, TextOutput) and row.text for row in results)


def _continuation(result: Any, plan: Plan) -> None:
    assert isinstance(result, TextCompletion)
    (choice,), raw = result.choices, _raw(plan)
    if isinstance(raw, dict) and "choices" in raw:
        (told,) = raw["choices"]
        assert (choice.text, choice.finish_reason) == (told["text"], told["finish_reason"])
        assert result.usage is not None
        assert result.usage.to_dict() == raw["usage"]
        assert (result.id, result.model) == (raw["id"], raw["model"])
        return
    (row,) = raw if isinstance(raw, list) else [raw]
    assert choice.text == row.pop("generated_text") == result.text
    assert choice.extra == row


def _vectors(result: Any, plan: Plan) -> None:
    assert isinstance(result, EmbeddingResponse)
    raw = _raw(plan)
    if isinstance(raw, dict):
        assert result.vectors == [row["embedding"] for row in raw["data"]]
        assert result.usage is not None
        assert result.usage.to_dict() == raw["usage"]
    elif "pooling" not in plan.parameters:
        assert result.vectors == [raw]
    else:
        texts = [part[0] for part in raw] if isinstance(plan.inputs, list) else raw
        means = [[statistics.fmean(c) for c in zip(*t, strict=True)] for t in texts]
        assert result.vectors == [pytest.approx(mean) for mean in means]
    assert len(result.vectors) == (len(plan.inputs) if isinstance(plan.inputs, list) else 1)


def _transcription(result: Any, plan: Plan) -> None:
    assert isinstance(result, Transcription)
    raw = _raw(plan)
    assert result.text == str(result) == raw["text"] != ""
    told = [(chunk["text"], *chunk["timestamp"]) for chunk in raw.get("chunks", [])]
    assert [(chunk.text, *chunk.timestamp) for chunk in result.chunks or []] == told


def _segments(result: Any, plan: Plan) -> None:
    assert all(isinstance(segment, Segment) for segment in result)
    assert [(s.label, s.score, s.mask.b64_json) for s in result] == [
        (row["label"], row["score"], row["mask"]) for row in _raw(plan)
    ]


def _sounds(result: Any, plan: Plan) -> None:
    assert all(isinstance(part, AudioPart) for part in result)
    told = [(row["label"], row["blob"], row["content-type"]) for row in _raw(plan)]
    assert [(p.label, p.audio.b64_json, p.audio.media_type) for p in result] == told


def _images(result: Any, plan: Plan) -> None:
    assert isinstance(result, ImageResponse)
    assert result.image is result.data[0]
    if plan.last.body.lstrip()[:1] not in (b"{", b"["):
        (image,) = result.data
        assert (image.content, image.media_type) == (plan.last.body, "image/jpeg")
        return
    raw = _raw(plan)
    kept = [row.get("b64_json") or row.get("image") for row in _named(raw)]
    if any(kept):
        assert [base64.b64encode(i.bytes).decode() for i in result.data] == kept
    else:
        _fetched(result.data, [row["url"] for row in _named(raw)])


def _named(raw: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the files of an answer, each as an object, from wherever a provider has them."""
    rows = raw.get("data") or raw.get("images") or raw.get("output") or raw.get("video")
    rows = rows or raw.get("result", {}).get("sample")
    rows = rows if isinstance(rows, list) else [rows]
    return [row if isinstance(row, dict) else {"url": row} for row in rows]


def _fetched(media: list[Media], urls: list[str]) -> None:
    """Assert that these are the files at these URLs, or within them."""
    for each, url in zip(media, urls, strict=True):
        if url.startswith("data:"):
            assert (each.b64_json, each.url) == (url.partition(",")[2], None)
        else:
            assert (each.url, each.content) == (url, file_at(url)[1])
        assert each.media_type is not None


def _file(result: Any, plan: Plan) -> None:
    assert isinstance(result, Media)
    if plan.last.body.lstrip()[:1] in (b"{", b"["):
        _fetched([result], [row["url"] for row in _named(_raw(plan))])
    else:
        assert (result.content, result.media_type) == (plan.last.body, "audio/flac")


CHECKS: dict[str, Check] = {
    "audio-classification": _rows,
    "audio-to-audio": _sounds,
    "automatic-speech-recognition": _transcription,
    "document-question-answering": _rows,
    "feature-extraction": _vectors,
    "fill-mask": _rows,
    "image-classification": _rows,
    "image-segmentation": _segments,
    "image-to-text": _text,
    "object-detection": _rows,
    "question-answering": _rows,
    "sentence-similarity": _numbers,
    "summarization": _text,
    "table-question-answering": _rows,
    "tabular-classification": _numbers,
    "tabular-regression": _numbers,
    "text-classification": _rows,
    "text-generation": _continuation,
    "text-to-image": _images,
    "text-to-speech": _file,
    "text-to-video": _file,
    "token-classification": _rows,
    "translation": _text,
    "visual-question-answering": _rows,
    "zero-shot-classification": _zero_shot,
    "zero-shot-image-classification": _rows,
}
