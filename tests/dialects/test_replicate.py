"""Replicate's bodies, predictions and the many forms of an output."""

from __future__ import annotations

from typing import Any

import pytest
from task_shapes import LINKED, LORA, PNG, WAV, linked, read, reading, wish, written

from trunkline.dialects import replicate
from trunkline.dialects.shape import Lora, Shape
from trunkline.errors import InvalidResponseError
from trunkline.types.results import TranscriptChunk

STARTING = {
    "id": "p1",
    "status": "starting",
    "output": None,
    "error": None,
    "urls": {"get": "https://api.replicate.com/v1/predictions/p1"},
}


def _images(url: str) -> dict[str, Any]:
    return {"image": url, "images": [url], "input_image": url, "input_images": [url]}


@pytest.mark.parametrize(
    ("shape", "inputs", "sent"),
    [
        (replicate.TEXT_TO_IMAGE, "a cat", {"prompt": "a cat"}),
        (replicate.TEXT_TO_VIDEO, "a cat", {"prompt": "a cat"}),
        (replicate.TEXT_TO_SPEECH, "hello", {"text": "hello"}),
        (replicate.SPEECH_RECOGNITION, WAV, {"audio": WAV.data_url}),
        (replicate.SPEECH_RECOGNITION, LINKED, {"audio": LINKED.url}),
        (replicate.IMAGE_TO_IMAGE, PNG, _images(PNG.data_url)),
        (replicate.IMAGE_TO_IMAGE, LINKED, _images(LINKED.url or "")),
    ],
)
def test_everything_goes_under_input(shape: Shape, inputs: Any, sent: dict[str, Any]) -> None:
    asked = wish("any", inputs, parameters={"seed": 1})
    assert written(shape, asked) == {"input": {**sent, "seed": 1}}


def test_the_answer_is_asked_to_wait() -> None:
    assert replicate.TEXT_TO_IMAGE.write(wish("", "x")).headers == (("prefer", "wait"),)


def test_a_version_goes_into_the_body() -> None:
    asked = wish("text-to-image", "a cat", "org/model:abc123")
    assert written(replicate.TEXT_TO_IMAGE, asked) == {
        "version": "abc123",
        "input": {"prompt": "a cat"},
    }


@pytest.mark.parametrize("shape", [replicate.TEXT_TO_IMAGE, replicate.IMAGE_TO_IMAGE])
def test_a_lora_is_named_by_its_repository(shape: Shape) -> None:
    inputs = "a cat" if shape is replicate.TEXT_TO_IMAGE else PNG
    asked = written(shape, wish("", inputs, lora=LORA))
    assert asked["input"]["lora_weights"] == "https://huggingface.co/org/lora"
    assert "lora_weights" not in written(shape, wish("", inputs, lora=Lora("a/b", "")))["input"]


def test_the_callers_own_input_is_added_to_ours() -> None:
    asked = wish("", "a cat", extra_body={"input": {"go_fast": True}, "webhook": "https://h"})
    assert written(replicate.TEXT_TO_IMAGE, asked) == {
        "input": {"prompt": "a cat", "go_fast": True},
        "webhook": "https://h",
    }


@pytest.mark.parametrize(
    ("output", "urls"),
    [
        ("https://r/1.png", ["https://r/1.png"]),
        (["https://r/1.png", "https://r/2.png"], ["https://r/1.png", "https://r/2.png"]),
        ({"images": ["https://r/1.png"], "seed": 5}, ["https://r/1.png"]),
        ({"image": "https://r/1.png", "mask": "https://r/2.png"}, ["https://r/1.png"]),
        ({"url": "https://r/1.png"}, ["https://r/1.png"]),
        ("data:image/png;base64,AA==", ["data:image/png;base64,AA=="]),
    ],
)
def test_images_are_found_in_every_form_of_output(output: Any, urls: list[str]) -> None:
    result = read(replicate.TEXT_TO_IMAGE, {"id": "p1", "status": "succeeded", "output": output})
    assert [image.url for image in result.data] == urls
    assert (result.id, result.status) == ("p1", "succeeded")


def test_the_callers_input_is_not_repeated_in_the_result() -> None:
    answer = {"output": "https://r/1.png", "input": {"image": "data:..."}, "version": "v"}
    assert read(replicate.IMAGE_TO_IMAGE, answer).extra == {"version": "v"}


@pytest.mark.parametrize(
    ("shape", "output"),
    [
        (replicate.TEXT_TO_VIDEO, "https://r/1"),
        (replicate.TEXT_TO_VIDEO, ["https://r/1"]),
        (replicate.TEXT_TO_SPEECH, {"audio_out": "https://r/1", "prompt_npz": None}),
    ],
)
def test_a_video_or_a_sound_is_the_result_itself(shape: Shape, output: Any) -> None:
    assert read(shape, {"output": output}).bytes == b"https://r/1"


@pytest.mark.parametrize(
    ("output", "text", "chunks", "language"),
    [
        ("hello", "hello", None, None),
        (["hel", "lo"], "hello", None, None),
        ("", "", None, None),
        ([{"transcription": "hello", "language": "en"}], "hello", None, "en"),
        ({"transcription": "hello", "translation": None}, "hello", None, None),
        ({"translation": "hello", "detected_language": "french"}, "hello", None, "french"),
        (
            {"text": "hello", "chunks": [{"text": "hello", "timestamp": [0, 1.5]}]},
            "hello",
            [TranscriptChunk("hello", 0, 1.5)],
            None,
        ),
        (
            {
                "transcription": "hello",
                "segments": [{"id": 0, "start": 0, "end": 2, "text": "hello"}],
            },
            "hello",
            [TranscriptChunk("hello", 0, 2, {"id": 0})],
            None,
        ),
        ({"txt_file": "https://r/1.txt"}, "https://r/1.txt", None, None),
    ],
)
def test_speech_is_read_in_every_form_of_output(
    output: Any, text: str, chunks: Any, language: str | None
) -> None:
    result = read(replicate.SPEECH_RECOGNITION, {"status": "succeeded", "output": output})
    assert (result.text, result.chunks, result.language) == (text, chunks, language)
    assert result.status == "succeeded"


def test_a_text_in_a_file_needs_the_file() -> None:
    answer = reading({"output": {"txt_file": "https://r/1.txt"}})
    with pytest.raises(InvalidResponseError, match="not fetched"):
        linked(replicate.SPEECH_RECOGNITION.read(answer, wish("", "")))


@pytest.mark.parametrize(
    ("shape", "answer"),
    [
        (replicate.TEXT_TO_IMAGE, {"status": "succeeded", "output": None}),
        (replicate.TEXT_TO_IMAGE, {"status": "succeeded", "output": []}),
        (replicate.TEXT_TO_IMAGE, {"output": "no url"}),
        (replicate.TEXT_TO_IMAGE, {"output": {"a": "https://r/1", "b": "https://r/2"}}),
        (replicate.TEXT_TO_VIDEO, {"output": 5}),
        (replicate.SPEECH_RECOGNITION, {"output": [1]}),
        (replicate.SPEECH_RECOGNITION, {"output": {"segments": []}}),
        (replicate.SPEECH_RECOGNITION, {"output": 5}),
        (replicate.SPEECH_RECOGNITION, []),
    ],
)
def test_an_output_that_is_none_is_an_error_that_shows_it(shape: Shape, answer: Any) -> None:
    with pytest.raises(InvalidResponseError) as caught:
        read(shape, answer)
    assert caught.value.body


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({}, "pending"),
        ({"status": "processing"}, "pending"),
        ({"status": "succeeded"}, "done"),
        ({"status": "failed", "error": "CUDA out of memory"}, "failed"),
        ({"status": "failed", "error": "NSFW content detected."}, "moderated"),
        ({"status": "canceled"}, "cancelled"),
        ({"status": "aborted"}, "cancelled"),
    ],
)
def test_states_of_a_prediction(fields: dict[str, Any], state: str) -> None:
    assert replicate.PREDICTION.state({**STARTING, **fields}) == state


def test_a_prediction_is_polled_until_it_has_an_output() -> None:
    form = replicate.PREDICTION
    assert form.job_id(STARTING) == "p1"
    assert form.job_path(STARTING, "p1") == "v1/predictions/p1"
    assert form.job_path({}, "p1") == "v1/predictions/p1"
    at_work = {**STARTING, "status": "processing", "output": ["https://r/1.png"]}
    assert form.job_id(at_work) is None  # held back until it was done; the status lags behind
