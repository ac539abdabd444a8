"""WaveSpeedAI's bodies, predictions and outputs."""

from __future__ import annotations

import binascii
from typing import Any

import pytest
from task_shapes import LINKED, LORA, PNG, read, wish, written

from trunkline.dialects import wavespeed
from trunkline.dialects.shape import Shape
from trunkline.errors import AuthenticationError, ContentPolicyViolationError, InvalidResponseError

ACCEPTED = {
    "code": 200,
    "data": {
        "id": "p1",
        "status": "created",
        "urls": {"get": "https://api.wavespeed.ai/api/v3/predictions/p1/result"},
    },
}


def _data(**data: Any) -> dict[str, Any]:
    return {"code": 200, "message": "success", "data": {"id": "p1", **data}}


@pytest.mark.parametrize("shape", [wavespeed.TEXT_TO_IMAGE, wavespeed.TEXT_TO_VIDEO])
def test_a_text_is_the_prompt(shape: Shape) -> None:
    asked = wish("", "a cat", parameters={"seed": 1}, extra_body={"size": "1*1"})
    assert written(shape, asked) == {"prompt": "a cat", "seed": 1, "size": "1*1"}


@pytest.mark.parametrize("shape", [wavespeed.IMAGE_TO_IMAGE, wavespeed.IMAGE_TO_VIDEO])
def test_an_image_goes_as_bare_base64_alone_and_in_a_list(shape: Shape) -> None:
    asked = wish("", PNG, parameters={"prompt": "blue"})
    assert written(shape, asked) == {
        "prompt": "blue",
        "image": PNG.base64,
        "images": [PNG.base64],
    }


def test_an_image_with_a_url_goes_as_its_url() -> None:
    assert written(wavespeed.IMAGE_TO_IMAGE, wish("", LINKED)) == {
        "image": LINKED.url,
        "images": [LINKED.url],
    }


def test_further_images_may_be_given() -> None:
    asked = wish("", PNG, parameters={"images": ["https://f/1.png", "https://f/2.png"]})
    assert written(wavespeed.IMAGE_TO_IMAGE, asked)["images"] == [
        "https://f/1.png",
        "https://f/2.png",
    ]


def test_without_an_image_an_empty_one_goes() -> None:
    body = written(wavespeed.IMAGE_TO_VIDEO, wish("image-text-to-video", None))
    assert binascii.a2b_base64(body["image"], strict_mode=True).startswith(b"\x89PNG\r\n")
    assert body["images"] == [body["image"]]


def test_a_lora_is_named_by_its_repository() -> None:
    asked = written(wavespeed.TEXT_TO_IMAGE, wish("", "a cat", lora=LORA))
    assert asked["loras"] == [{"path": "org/lora", "scale": 1}]


def test_all_images_and_what_is_told_of_them_are_kept() -> None:
    answer = _data(
        outputs=["https://w/1.png", "https://w/2.png"],
        status="completed",
        has_nsfw_contents=[False, True],
        timings={"inference": 5},
    )
    result = read(wavespeed.TEXT_TO_IMAGE, answer)
    assert [image.url for image in result.data] == ["https://w/1.png", "https://w/2.png"]
    assert (result.has_nsfw_contents, result.timings) == ([False, True], {"inference": 5})


def test_a_video_is_the_first_output() -> None:
    result = read(wavespeed.TEXT_TO_VIDEO, _data(outputs=["https://w/1.mp4"], seed=4))
    assert (result.url, result.seed) == ("https://w/1.mp4", 4)


@pytest.mark.parametrize(
    "answer",
    [
        _data(outputs=[]),
        _data(outputs=None, has_nsfw_contents=[False]),
        {"code": 200, "message": "no prediction", "data": None},
        [],
    ],
)
def test_an_answer_without_outputs_is_an_error_that_shows_it(answer: Any) -> None:
    with pytest.raises(InvalidResponseError) as caught:
        read(wavespeed.TEXT_TO_IMAGE, answer)
    assert caught.value.body


def test_an_answer_that_is_a_refusal_is_the_error_that_its_code_says() -> None:
    with pytest.raises(AuthenticationError, match="no such key"):
        read(wavespeed.TEXT_TO_IMAGE, {"code": 401, "message": "no such key", "data": None})


def test_outputs_that_are_kept_back_are_refused_content() -> None:
    with pytest.raises(ContentPolicyViolationError, match="keeps it back"):
        read(wavespeed.TEXT_TO_IMAGE, _data(outputs=[], has_nsfw_contents=[True]))


@pytest.mark.parametrize(
    ("data", "state"),
    [
        ({"status": "created"}, "pending"),
        ({"status": "processing"}, "pending"),
        ({"status": "completed"}, "done"),
        ({"status": "failed", "error": "no memory"}, "failed"),
        ({"status": "failed", "error": "Content flagged as potentially sensitive"}, "moderated"),
        ({"status": "failed", "error": ""}, "failed"),
    ],
)
def test_states_of_a_prediction(data: dict[str, Any], state: str) -> None:
    assert wavespeed.PREDICTION.state(_data(**data)) == state


def test_a_failure_without_a_reason_does_not_call_itself_a_success() -> None:
    assert wavespeed.PREDICTION.reason(_data(status="failed", error="")) == ""


def test_a_prediction_is_asked_after_where_the_answer_says() -> None:
    form = wavespeed.PREDICTION
    assert form.job_id(ACCEPTED) == "p1"
    assert form.job_path(ACCEPTED, "p1") == "api/v3/predictions/p1/result"
    assert form.job_path(_data(), "p1") == "api/v3/predictions/p1/result"
