"""Images as Black Forest Labs make them at their own address."""

from __future__ import annotations

from typing import Any

import pytest
from task_shapes import read, wish, written

from trunkline.dialects import bfl
from trunkline.errors import InvalidResponseError


def test_steps_and_guidance_have_names_of_their_own() -> None:
    parameters = {"num_inference_steps": 4, "guidance_scale": 3.5, "width": 512}
    asked = wish("text-to-image", "a cat", "flux-dev", parameters=parameters)
    assert written(bfl.TEXT_TO_IMAGE, asked) == {
        "prompt": "a cat",
        "steps": 4,
        "guidance": 3.5,
        "width": 512,
    }


def test_the_sample_is_the_image_and_the_rest_is_kept() -> None:
    answer = {
        "id": "1",
        "status": "Ready",
        "result": {"sample": "https://b/1.jpeg?sig=x", "seed": 8, "prompt": "a cat"},
    }
    result = read(bfl.TEXT_TO_IMAGE, answer)
    assert (result.image.url, result.seed, result.id) == ("https://b/1.jpeg?sig=x", 8, "1")


@pytest.mark.parametrize("result", [None, {}, {"sample": None}, "x"])
def test_a_result_without_a_sample_is_an_error(result: Any) -> None:
    with pytest.raises(InvalidResponseError):
        read(bfl.TEXT_TO_IMAGE, {"status": "Ready", "result": result})


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        ({"status": "Pending", "progress": 0.3}, "pending"),
        ({"status": "Ready"}, "done"),
        ({"status": "Error"}, "failed"),
        ({"status": "Task not found"}, "failed"),
        ({"status": "Content Moderated"}, "moderated"),
        ({"status": "Request Moderated", "details": {"Moderation Reasons": ["x"]}}, "moderated"),
    ],
)
def test_states_of_a_task(answer: dict[str, Any], state: str) -> None:
    assert bfl.TASK.state(answer) == state


def test_a_failure_says_at_least_its_state() -> None:
    assert bfl.TASK.reason({"status": "Task not found"}) == "Task not found"
    assert bfl.TASK.reason({"status": "Error", "details": {"error": "no GPU"}}) == "no GPU"


def test_a_task_is_polled_where_the_answer_says_but_never_at_another_host() -> None:
    accepted = {"id": "1", "polling_url": "https://other.example/v1/get_result?id=1&region=eu"}
    assert bfl.TASK.job_id(accepted) == "1"
    assert bfl.TASK.job_path(accepted, "1") == "v1/get_result?id=1&region=eu"
    assert bfl.TASK.job_path({"id": "1"}, "1") == "v1/get_result?id=1"
