"""Images as Z.ai makes them."""

from __future__ import annotations

from typing import Any

import pytest
from task_shapes import read, wish, written

from trunkline.dialects import zai
from trunkline.errors import InvalidResponseError


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"width": 512, "height": 256}, {"size": "512x256"}),
        ({"width": 512, "height": 256, "size": "1x1"}, {"size": "1x1"}),
        ({"width": 512}, {"width": 512}),
        ({}, {}),
    ],
)
def test_width_and_height_become_one_size(given: dict[str, Any], sent: dict[str, Any]) -> None:
    asked = wish("text-to-image", "a cat", parameters=given, extra_body={"user_id": "u"})
    assert written(zai.TEXT_TO_IMAGE, asked) == {
        "model": "org/model",
        "prompt": "a cat",
        "user_id": "u",
        **sent,
    }


def test_all_images_of_a_result_are_read() -> None:
    answer = {
        "task_status": "SUCCESS",
        "request_id": "r",
        "image_result": [{"url": "https://z/1.png"}, {"url": "https://z/2.png"}],
    }
    result = read(zai.TEXT_TO_IMAGE, answer)
    assert [image.url for image in result.data] == ["https://z/1.png", "https://z/2.png"]
    assert result.request_id == "r"


@pytest.mark.parametrize("answer", [{"image_result": []}, {"task_status": "SUCCESS"}, "x"])
def test_a_result_without_images_is_an_error(answer: Any) -> None:
    with pytest.raises(InvalidResponseError):
        read(zai.TEXT_TO_IMAGE, answer)


def test_a_task_is_polled_by_its_id() -> None:
    accepted = {"id": "7", "request_id": "r", "task_status": "PROCESSING"}
    assert zai.TASK.state(accepted) == "pending"
    assert zai.TASK.job_id(accepted) == "7"
    assert zai.TASK.job_path(accepted, "7") == "api/paas/v4/async-result/7"
    assert zai.TASK.state({"task_status": "SUCCESS"}) == "done"
    assert zai.TASK.state({"task_status": "FAIL"}) == "failed"


def test_polls_start_sooner_than_every_five_seconds_and_come_to_that() -> None:
    assert [zai.TASK.wait(n) for n in (0, 20)] == [1.0, 5.0]
