"""Recorded answers of fal, Replicate and Black Forest Labs, read through our shapes.

Whatever a shape names as the result's file is what the real client fetched next, where that was
recorded too.
"""

from __future__ import annotations

import json
from collections import Counter
from functools import cache
from typing import Any

import pytest
from recordings import RECORDINGS, needs_recordings

from trunkline.dialects import bfl
from trunkline.dialects.shape import Fetch, Reading, Shape, Wish
from trunkline.errors import InvalidResponseError
from trunkline.providers.queued import QUEUED
from trunkline.types.media import Media

pytestmark = needs_recordings


@cache
def _rows() -> list[dict[str, Any]]:
    names = ("direct", "router", "artifact")
    paths = [path for name in names if (path := RECORDINGS / f"{name}.jsonl").is_file()]
    lines = [line for path in paths for line in path.read_text(encoding="utf-8").splitlines()]
    return [row for row in map(json.loads, lines) if row["provider"] in QUEUED]


def _answers(provider: str, *, truncated: bool = False) -> list[dict[str, Any]]:
    """Return the good JSON answers of a provider to the tasks that we route."""
    return [
        row
        for row in _rows()
        if row["provider"] == provider
        and row["task"] in QUEUED[provider]
        and row["status"] < 300
        and row["response"]["headers"]["content-type"].startswith("application/json")
        and bool(row["truncated"]) is truncated
    ]


def _fetched(provider: str) -> set[str]:
    """Return the URLs of result files that were recorded as fetched."""
    return {
        row["request"]["url"]
        for row in _rows()
        if row["provider"] == provider
        and row["request"]["method"] == "GET"
        and not row["response"]["headers"]["content-type"].startswith("application/json")
    }


def _shape(row: dict[str, Any]) -> Shape:
    return QUEUED[row["provider"]][row["task"]].shape


def _read(row: dict[str, Any]) -> Any:
    body = row["response"]["body"].encode()
    return _shape(row).read(Reading(body, "application/json"), Wish(row["task"], "m", "x"))


def _built(row: dict[str, Any]) -> Any:
    result = _read(row)
    assert isinstance(result, Fetch)
    return result.build(tuple(Media(url=url) for url in result.urls))


def _json(row: dict[str, Any]) -> Any:
    return json.loads(row["response"]["body"])


def test_fals_images_are_read_with_their_seeds_times_and_sizes() -> None:
    rows = [row for row in _answers("fal-ai") if row["task"] == "text-to-image"]
    assert len(rows) == 27
    for row in rows:
        told, result = _json(row), _built(row)
        assert [image.url for image in result.data] == [image["url"] for image in told["images"]]
        assert [image.width for image in result.data] == [
            image["width"] for image in told["images"]
        ]
        assert {image.media_type for image in result.data} <= {"image/jpeg", "image/png"}
        assert result.seed == told["seed"]
        assert result.get("timings") == told.get("timings")
        assert result.get("has_nsfw_concepts") in ([False], None)


def test_an_answer_that_was_cut_off_is_an_error() -> None:
    rows = _answers("fal-ai", truncated=True)
    assert len(rows) == 1
    with pytest.raises(InvalidResponseError, match="not JSON"):
        _read(rows[0])


def test_fals_videos_are_read_with_what_is_told_of_them() -> None:
    rows = [row for row in _answers("fal-ai") if row["task"] == "text-to-video"]
    assert len(rows) == 7
    for row in rows:
        told, result = _json(row), _built(row)
        assert (result.url, result.file_size) == (told["video"]["url"], told["video"]["file_size"])
        assert result.get("seed") == told.get("seed")
        assert result.media_type is None  # told as application/octet-stream, which says nothing


def test_fals_transcriptions_have_their_words_times_and_language() -> None:
    rows = [row for row in _answers("fal-ai") if row["task"] == "automatic-speech-recognition"]
    assert len(rows) == 2
    for row in rows:
        result = _read(row)
        assert result.text == _json(row)["text"]
        assert "universe" in result.text
        assert [chunk.timestamp for chunk in result.chunks] == [(0.0, 4.08)]
        assert (result.language, result.diarization_segments) == ("en", [])


@pytest.mark.parametrize(("provider", "files"), [("fal-ai", 26), ("replicate", 15)])
def test_our_files_are_those_that_the_real_client_fetched(provider: str, files: int) -> None:
    """Of some files only the fetching was recorded, not the answer that named them."""
    rows = _answers(provider)
    results = [result for row in rows if isinstance(result := _named(row), Fetch)]
    ours = {url for result in results for url in result.urls}
    bodies = "".join(row["response"]["body"] for row in rows)
    fetched = {url for url in _fetched(provider) if url in bodies}
    assert len(fetched) == files
    assert fetched <= ours


def _named(row: dict[str, Any]) -> Any:
    return _read(row) if _json(row).get("output", True) is not None else None


def test_replicates_predictions_are_results_though_they_call_themselves_processing() -> None:
    rows = _answers("replicate")
    assert len(rows) == 19
    done = [row for row in rows if _json(row)["output"] is not None]
    assert Counter(row["task"] for row in done) == {
        "text-to-image": 12,
        "text-to-speech": 4,
        "text-to-video": 2,
    }
    for row in done:
        told, form = _json(row), _shape(row).job
        assert form is not None
        assert (told["status"], form.job_id(told)) == ("processing", None)
        result = _built(row)
        urls = [image.url for image in result.data] if "data" in result else [result.url]
        assert urls == ([told["output"]] if isinstance(told["output"], str) else told["output"])
        assert (result.id, result["version"]) == (told["id"], told["version"])
        assert "input" not in result


def test_replicates_one_cold_start_is_a_job_to_be_polled() -> None:
    (row,) = (row for row in _answers("replicate") if _json(row)["output"] is None)
    told, form = _json(row), _shape(row).job
    assert form is not None
    job_id = form.job_id(told)
    assert job_id == told["id"]
    assert form.state(told) == "pending"
    assert f"https://api.replicate.com/{form.job_path(told, job_id)}" == told["urls"]["get"]
    with pytest.raises(InvalidResponseError, match="no output"):
        _read(row)


def test_black_forest_labs_tasks_go_from_accepted_to_ready() -> None:
    rows = _answers("black-forest-labs")
    assert len(rows) == 12
    accepted = [row for row in rows if row["request"]["method"] == "POST"]
    polled = {row["request"]["url"] for row in rows if row["request"]["method"] == "GET"}
    assert len(accepted) == 2
    for row in accepted:
        told = _json(row)
        job_id = bfl.TASK.job_id(told)
        assert job_id == told["id"]
        path = bfl.TASK.job_path(told, job_id)
        assert any(url.startswith(f"https://api.us1.bfl.ai/{path}") for url in polled)
    states = Counter(bfl.TASK.state(_json(row)) for row in rows)
    assert states == {"pending": 8, "done": 4}


def test_black_forest_labs_samples_are_read_with_their_seeds() -> None:
    rows = [row for row in _answers("black-forest-labs") if _json(row).get("status") == "Ready"]
    assert len(rows) == 4
    for row in rows:
        told, result = _json(row), _built(row)
        assert [image.url for image in result.data] == [told["result"]["sample"]]
        assert (result.seed, result.prompt) == (told["result"]["seed"], told["result"]["prompt"])
    assert {url for row in rows for url in _read(row).urls} <= _fetched("black-forest-labs")
