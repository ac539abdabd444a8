"""Videos as Together and Novita make them."""

from __future__ import annotations

from typing import Any

import pytest
from task_shapes import LINKED, PNG, read, wish, written

from trunkline.dialects import videos
from trunkline.dialects.jobs import JobForm
from trunkline.dialects.shape import Shape
from trunkline.errors import InvalidInputError, InvalidResponseError
from trunkline.types.media import Blob


def test_togethers_names_for_steps_and_size() -> None:
    asked = wish(
        "text-to-video",
        "a dog",
        parameters={"num_inference_steps": 4, "target_size": {"width": 640, "height": 360}},
    )
    assert written(videos.TOGETHER_TEXT, asked) == {
        "model": "org/model",
        "prompt": "a dog",
        "steps": 4,
        "width": 640,
        "height": 360,
    }


def test_a_size_of_another_form_is_left_for_the_provider_to_judge() -> None:
    asked = wish("", "a dog", parameters={"target_size": "640x360"})
    assert written(videos.TOGETHER_TEXT, asked)["target_size"] == "640x360"


@pytest.mark.parametrize("image", [PNG, LINKED])
def test_together_takes_an_image_as_the_first_frame(image: Blob) -> None:
    asked = wish("image-to-video", image, parameters={"prompt": "zoom"})
    assert written(videos.TOGETHER_IMAGE, asked) == {
        "model": "org/model",
        "prompt": "zoom",
        "frame_images": [{"input_image": image.reference, "frame": "first"}],
    }


def test_an_image_that_together_would_not_take_is_refused_before_it_is_sent() -> None:
    prefix = len("data:image/png;base64,")
    largest = Blob(b"x" * ((videos.MAX_FRAME - prefix) // 4 * 3), "image/png")
    assert written(videos.TOGETHER_IMAGE, wish("", largest))["frame_images"]
    larger = Blob(largest.content + b"xxx", "image/png")
    with pytest.raises(InvalidInputError, match="too large for Together") as caught:
        videos.TOGETHER_IMAGE.write(wish("", larger))
    assert "https URL" in (caught.value.hint or "")


def test_key_frames_of_ones_own_stand_for_the_image() -> None:
    frames = [{"input_image": "https://f/1.png", "frame": "last"}]
    asked = wish("", Blob(b"x" * 100_000), extra_body={"frame_images": frames})
    assert written(videos.TOGETHER_IMAGE, asked)["frame_images"] == frames


def test_novitas_name_for_steps() -> None:
    asked = wish("text-to-video", "a dog", parameters={"num_inference_steps": 4, "seed": 2})
    assert written(videos.NOVITA_TEXT, asked) == {"prompt": "a dog", "steps": 4, "seed": 2}


@pytest.mark.parametrize(
    ("image", "parameters", "sent"),
    [
        (PNG, {}, {"resolution": "768P", "duration": 4, "ratio": "adaptive"}),
        (None, {}, {"resolution": "768P", "duration": 4, "ratio": "16:9"}),
        (
            None,
            {"target_size": {"width": 1440, "height": 2560}, "num_frames": 252},
            {"resolution": "2K", "duration": 11, "ratio": "9:16"},
        ),
        (
            None,
            {"target_size": {"width": 1000, "height": 1000}, "num_frames": 24},
            {"resolution": "768P", "duration": 4, "ratio": "1:1"},
        ),
        (None, {"num_frames": 9999}, {"resolution": "768P", "duration": 15, "ratio": "16:9"}),
        (
            None,
            {"resolution": "2K", "duration": 6, "ratio": "4:3"},
            {"resolution": "2K", "duration": 6, "ratio": "4:3"},
        ),
    ],
)
def test_sizes_and_lengths_become_the_nearest_that_minimax_has(
    image: Blob | None, parameters: dict[str, Any], sent: dict[str, Any]
) -> None:
    asked = wish("image-text-to-video", image, parameters={"prompt": "p", **parameters})
    body = written(videos.NOVITA_IMAGE_TEXT, asked)
    content = [{"type": "text", "text": "p"}]
    if image is not None:
        picture = {"url": image.data_url}
        content.append({"type": "image_url", "image_url": picture, "role": "first_frame"})  # type: ignore[dict-item]
    assert body == {"model": "org/model", "content": content, **sent}


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"prompt": "  "},
        {"prompt": "p", "target_size": "640x360"},
        {"prompt": "p", "target_size": {"width": 5}},
        {"prompt": "p", "target_size": {"width": 5, "height": 0}},
        {"prompt": "p", "num_frames": "many"},
    ],
)
def test_what_minimax_cannot_be_asked_for_is_refused_here(parameters: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError):
        videos.NOVITA_IMAGE_TEXT.write(wish("", PNG, parameters=parameters))


@pytest.mark.parametrize(
    ("shape", "answer"),
    [
        (videos.TOGETHER_TEXT, {"id": "1", "outputs": {"video_url": "https://v/1.mp4"}}),
        (videos.TOGETHER_IMAGE, {"id": "1", "outputs": {"video_url": "https://v/1.mp4"}}),
        (videos.NOVITA_TEXT, {"id": "1", "videos": [{"video_url": "https://v/1.mp4"}]}),
        (videos.NOVITA_TEXT, {"id": "1", "video": {"video_url": "https://v/1.mp4"}}),
        (videos.NOVITA_IMAGE_TEXT, {"id": "1", "task": {"content": {"url": "https://v/1.mp4"}}}),
    ],
)
def test_the_video_is_found_where_each_provider_names_it(
    shape: Shape, answer: dict[str, Any]
) -> None:
    result = read(shape, answer)
    assert (result.url, result.bytes, result.id) == ("https://v/1.mp4", b"https://v/1.mp4", "1")
    with pytest.raises(InvalidResponseError, match="names no video"):
        read(shape, {"id": "1"})


@pytest.mark.parametrize(
    ("form", "answer", "state", "reason"),
    [
        (videos.TOGETHER_JOB, {"id": "1"}, "pending", ""),
        (videos.TOGETHER_JOB, {"status": "queued"}, "pending", ""),
        (videos.TOGETHER_JOB, {"status": "in_progress"}, "pending", ""),
        (videos.TOGETHER_JOB, {"status": "completed"}, "done", ""),
        (videos.TOGETHER_JOB, {"status": "cancelled"}, "cancelled", ""),
        (
            videos.TOGETHER_JOB,
            {"status": "failed", "error": {"message": "no room"}},
            "failed",
            "no room",
        ),
        (videos.NOVITA_JOB, {"task": {"status": "TASK_STATUS_QUEUED"}}, "pending", ""),
        (videos.NOVITA_JOB, {"task": {"status": "TASK_STATUS_PROCESSING"}}, "pending", ""),
        (videos.NOVITA_JOB, {"task": {"status": "TASK_STATUS_SUCCEED"}}, "done", ""),
        (
            videos.NOVITA_JOB,
            {"task": {"status": "TASK_STATUS_FAILED", "reason": "nsfw"}},
            "moderated",
            "nsfw",
        ),
        (videos.MINIMAX_JOB, {"task": {"status": "running"}}, "pending", ""),
        (videos.MINIMAX_JOB, {"task": {"status": "succeeded"}}, "done", ""),
        (videos.MINIMAX_JOB, {"task": {"status": "cancelled"}}, "cancelled", ""),
        (
            videos.MINIMAX_JOB,
            {"task": {"status": "failed", "error": {"message": "no room"}}},
            "failed",
            "no room",
        ),
    ],
)
def test_states_of_each_queue(form: JobForm, answer: Any, state: str, reason: str) -> None:
    assert (form.state(answer), form.reason(answer)) == (state, reason)


@pytest.mark.parametrize(
    ("form", "accepted", "path"),
    [
        (videos.TOGETHER_JOB, {"id": "a-1"}, "v2/videos/a-1"),
        (videos.NOVITA_JOB, {"task_id": "a&1"}, "v3/async/task-result?task_id=a%261"),
        (
            videos.MINIMAX_JOB,
            {"task_id": "a/1"},
            "v3/minimax/v2/query/video_generation/a%2F1",
        ),
    ],
)
def test_where_each_job_is_asked_after(form: JobForm, accepted: Any, path: str) -> None:
    job_id = form.job_id(accepted)
    assert job_id
    assert form.job_path(accepted, job_id) == path
