"""Answers that are not quite the usual ones, at every route of every provider: read, or refused well."""

from __future__ import annotations

import base64
import copy
import json
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trials import often
from trunkline.dialects.openai_videos import VIDEO
from trunkline.dialects.shape import Reading, Shape, Wish
from trunkline.errors import (
    APIError,
    ContentPolicyViolationError,
    ContextWindowExceededError,
    InvalidInputError,
    InvalidResponseError,
    ModelLoadingError,
    RateLimitError,
)
from trunkline.providers.served import PIPELINE_TASKS, SERVED
from trunkline.providers.table import PROVIDERS
from trunkline.providers.task_table import tasks_of
from trunkline.types.media import Blob

PNG64 = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII="
)
FLAC64 = base64.b64encode(b"fLaC\x00\x00\x00\x22" + bytes(34)).decode()
URL = "https://files.example/1"

ROUTES: dict[str, tuple[str, Shape]] = {
    f"{place}/{task}": (task, route.shape)
    for place, routes in (
        *((name, tasks_of(row)) for name, row in PROVIDERS.items()),
        *SERVED.items(),
        ("pipeline", PIPELINE_TASKS),
    )
    for task, route in routes.items()
}

INPUTS: dict[str, Any] = {
    "feature-extraction": ["a", "b"],
    "sentence-similarity": {"source_sentence": "a", "sentences": ["b", "c"]},
    "sparse-embedding": ["a", "b"],
    "tabular-regression": {"data": {"x": [1, 2]}},
    "text-ranking": {"query": "q", "texts": ["a", "b"]},
}

BOX = {"xmin": 1, "ymin": 2, "xmax": 3, "ymax": 4}
USUAL: list[Any] = [
    [{"label": "yes", "score": 0.5}, {"label": "no", "score": 0}],
    [[{"label": "yes", "score": 0.5}]],
    {"sequence": "x", "labels": ["a", "b"], "scores": [0.75, 0.25]},
    [{"word": "Bo", "entity_group": "PER", "score": 0.5, "start": 0, "end": 2}],
    [{"token_str": " a", "sequence": "b a", "score": 0.5, "token": 7}],
    {"answer": "a", "score": 0.5, "start": 0, "end": 1},
    {"answer": "a", "coordinates": [[0, 1]], "cells": ["a"], "aggregator": "NONE"},
    [{"summary_text": "a"}],
    [{"label": "cat", "score": 0.5, "box": BOX}],
    [{"label": "cat", "score": 0.5, "mask": PNG64}],
    [{"label": "a", "blob": FLAC64, "content-type": "audio/flac"}],
    {"text": "a", "chunks": [{"text": "a", "timestamp": [0.0, 1.5]}]},
    {"text": "a", "segments": [{"text": "a", "start": 0, "end": 1}], "language": "en"},
    [0.5, 0.25],
    [[0.5, 0.25], [0.25, 0.5]],
    [[[0.5], [0.25]], [[0.25], [0.5]]],
    {"data": [{"embedding": [0.5], "index": 1}, {"embedding": [0.25], "index": 0}]},
    [{"index": 1, "score": 0.5}, {"index": 0, "score": 0.25}],
    {"results": [{"index": 1, "relevance_score": 0.5, "document": {"text": "b"}}]},
    [[{"index": 5, "value": 0.5}], [{"index": 6, "value": 1}]],
    {"data": [{"b64_json": PNG64}], "created": 5},
    {"data": [{"url": URL, "b64_json": None}]},
    {"images": [{"url": URL, "width": None, "content_type": "image/png"}], "seed": 5},
    {"image": {"url": URL}},
    {"video": {"url": URL}},
    {"audio": {"url": URL}},
    {"id": "p", "status": "succeeded", "output": [URL], "error": None},
    {"data": {"id": "p", "status": "completed", "outputs": [URL]}},
    {"id": "v", "status": "completed", "outputs": {"video_url": URL}},
    {"task": {"status": "TASK_STATUS_SUCCEED"}, "videos": [{"video_url": URL}]},
    {"task": {"status": "succeeded", "content": {"url": URL}}},
    {"task_status": "SUCCESS", "image_result": [{"url": URL}]},
    {"status": "Ready", "result": {"sample": URL}},
    {"md_results": "# a"},
    {"choices": [{"text": "a", "finish_reason": "stop", "index": 0}], "usage": {"total_tokens": 5}},
    [{"generated_text": "a", "details": {"finish_reason": "length", "generated_tokens": 1}}],
]

ODD: list[Any] = [
    None, True, 0, -1, 10**30, 0.1, "", "a", "0.5", "\u00fc\ud83d\ude00", [], {}, [[]], [None], [{}],
    {"url": None}, {"url": "file:///x"}, URL, "data:,", "data:image/png;base64,%", PNG64,
]  # fmt: skip


def _places(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner: Any = ()
    if isinstance(value, dict):
        inner = value.items()
    elif isinstance(value, list):
        inner = enumerate(value)
    return [here, *(place for key, item in inner for place in _places(item, (*here, key)))]


@st.composite
def mutated(draw: st.DrawFn) -> tuple[str, Any]:
    """Return a route and its usual answer with some values others, gone, wrapped or repeated."""
    route, usual = draw(st.sampled_from(_fitting()))
    box = {"it": copy.deepcopy(usual)}
    for _ in range(draw(st.integers(1, 3))):
        *way, last = ("it", *draw(st.sampled_from(_places(box["it"]))))
        around: Any = box
        for key in way:
            around = around[key]
        change = draw(st.sampled_from(["other", "gone", "wrapped", "twice", "more"]))
        if change == "gone" and way:
            del around[last]
        elif change == "wrapped":
            around[last] = [around[last]]
        elif change == "twice":
            around[last] = [around[last], copy.deepcopy(around[last])]
        elif change == "more" and isinstance(around[last], dict):
            around[last]["more"] = copy.deepcopy(draw(st.sampled_from(ODD)))
        else:
            around[last] = copy.deepcopy(draw(st.sampled_from(ODD)))
    return route, box["it"]


def read(route: str, answer: Any, **parameters: Any) -> Any:
    task, shape = ROUTES[route]
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    return shape.read(
        Reading(body, "text/plain"), Wish(task, "m", INPUTS.get(task, "x"), parameters)
    )


@cache
def _fitting() -> list[tuple[str, Any]]:
    """Return each route with each of the usual answers that it reads."""
    return [(route, usual) for route in sorted(ROUTES) for usual in USUAL if _reads(route, usual)]


def _reads(route: str, answer: Any) -> bool:
    try:
        return read(route, answer) is not None
    except APIError:
        return False


def test_every_route_reads_one_of_the_usual_answers() -> None:
    files = {route for route, (_, shape) in ROUTES.items() if shape is VIDEO}
    assert {route for route, _ in _fitting()} == set(ROUTES) - files
    for route in files:
        video = Reading(b"\0\0\0\x18ftypmp42", "video/mp4")
        assert VIDEO.read(video, Wish(ROUTES[route][0], "m", "x", {})).media_type == "video/mp4"


@pytest.mark.slow
@given(mutated())
@settings(max_examples=often(1500), deadline=None)
def test_what_is_nearly_an_answer_is_read_or_refused(changed: tuple[str, Any]) -> None:
    route, answer = changed
    before = copy.deepcopy(answer)
    try:
        result = read(route, answer)
    except APIError as error:
        assert not isinstance(error, InvalidInputError)
        assert error.message
    else:
        assert result is not None
        assert repr(result)
    assert answer == before


@given(st.sampled_from(sorted(ROUTES)), st.binary(max_size=40), st.sampled_from(USUAL))
@settings(max_examples=often(400), deadline=None)
def test_bytes_of_any_kind_are_a_file_or_refused(route: str, junk: bytes, answer: Any) -> None:
    text = json.dumps(answer).encode()
    for body in (junk, text[: len(junk)], junk + text):
        try:
            read(route, body)
        except APIError as error:
            assert not isinstance(error, InvalidInputError)


@pytest.mark.parametrize("body", [b"[" * 5000, b"[" * 900 + b"]" * 900, b'{"data":' * 5000])
def test_brackets_without_end_are_refused(body: bytes) -> None:
    for route in ROUTES:
        with pytest.raises(APIError):
            read(route, body)


FAILURES: list[tuple[Any, type[APIError], str]] = [
    (
        {"error": "Model m is currently loading", "estimated_time": 20.0},
        ModelLoadingError,
        "currently loading",
    ),
    ({"error": {"message": "slow down", "code": 429}}, RateLimitError, "slow down"),
    ([{"error": "busy", "error_type": "overloaded"}], RateLimitError, "busy"),
    ({"error": ["prompt is too long"]}, ContextWindowExceededError, "prompt is too long"),
    (
        {"detail": [{"msg": "no", "type": "content_policy_violation", "loc": ["body", "prompt"]}]},
        ContentPolicyViolationError,
        "body.prompt: no",
    ),
    ({"code": 429, "message": "slow down"}, RateLimitError, "slow down"),
]


@pytest.mark.parametrize(("answer", "kind", "says"), FAILURES)
def test_a_failure_under_a_good_status_is_the_error_that_it_tells(
    answer: Any, kind: type[APIError], says: str
) -> None:
    for route in ROUTES:
        with pytest.raises(kind) as caught:
            read(route, answer)
        assert says in caught.value.message, route
        assert caught.value.body == answer, route


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**63), 2**63))
def test_scores_are_exactly_those_that_came(score: float) -> None:
    row = {"label": "a", "score": score}
    (label,) = read("hf-inference/text-classification", [[row]])
    assert (label.score, type(label.score)) == (score, type(score))
    (answer,) = read("hf-inference/question-answering", {"answer": "a", "score": score})
    assert answer.score == score
    ranked = [{"index": 0, "score": score}, {"index": 1, "score": score}]
    assert [r.relevance_score for r in read("tei/text-ranking", ranked).results] == [score, score]
    (told,) = read("hf-inference/text-classification", [[{**row, "score": json.dumps(score)}]])
    assert told.score == score


def test_what_json_has_no_word_for_is_unknown() -> None:
    (label,) = read("hf-inference/text-classification", b'[[{"label":"a","score":NaN}]]')
    assert label.score is None
    with pytest.raises(InvalidResponseError):
        read("hf-inference/feature-extraction", b"[[NaN],[1.0]]")


def test_half_a_character_does_not_cost_the_answer() -> None:
    result = read("hf-inference/summarization", b'[{"summary_text":"a \\ud83d"}]')
    assert result.text == "a \ufffd"


def test_samples_that_begin_like_json_are_a_sound_and_json_under_its_type_is_read() -> None:
    task, shape = ROUTES["hf-inference/text-to-speech"]
    for samples in (b"{\x00\x01\xff", b"[\x80\x00", b'"\x00\x7f\x00'):
        media = shape.read(Reading(samples, "audio/pcm"), Wish(task, "m", "x"))
        assert (media.content, media.media_type) == (samples, "audio/pcm")
    for written in (f'"{FLAC64}"', f' {{"audio": "{FLAC64}"}}'):
        media = shape.read(Reading(written.encode(), "audio/flac"), Wish(task, "m", "x"))
        assert media.media_type == "audio/flac"


@pytest.mark.parametrize("task", ["image-to-image", "image-classification"])
def test_a_files_bytes_are_sent_under_their_own_type(task: str) -> None:
    for kind in ("image/png", "image/jpeg", "image/webp"):
        body = ROUTES[f"hf-inference/{task}"][1].write(Wish(task, "m", Blob(b"x", kind)))
        assert (body.data, body.content_type) == (b"x", kind)
