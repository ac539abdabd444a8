"""Videos as Together and Novita make them: bodies, queues and where the video's URL stands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trunkline.dialects import files
from trunkline.dialects.files import read_object, rest
from trunkline.dialects.jobs import JobForm, look
from trunkline.dialects.shape import Body, Fetch, Reading, Shape, Wish, json_body, unreadable
from trunkline.errors import InvalidInputError
from trunkline.types.media import Blob

TOGETHER_JOB = JobForm(
    id_at="id",
    state_at="status",
    done=frozenset({"completed"}),
    failed=frozenset({"failed"}),
    cancelled=frozenset({"cancelled", "canceled"}),
    path="v2/videos/{id}",
    reason_at=("error.message", "error.code"),
    first=2.0,
)
NOVITA_JOB = JobForm(
    id_at="task_id",
    state_at="task.status",
    done=frozenset({"TASK_STATUS_SUCCEED"}),
    failed=frozenset({"TASK_STATUS_FAILED"}),
    path="v3/async/task-result?task_id={id}",
    reason_at=("task.reason",),
    first=1.0,
)
MINIMAX_JOB = JobForm(
    id_at="task_id",
    state_at="task.status",
    done=frozenset({"succeeded"}),
    failed=frozenset({"failed"}),
    cancelled=frozenset({"cancelled"}),
    path="v3/minimax/v2/query/video_generation/{id}",
    reason_at=("task.error.message",),
    first=2.0,
)

MAX_FRAME = 61_440
"""Characters that Together takes for one key frame, as a URL or a data URL."""

_RATIOS = ("21:9", "16:9", "4:3", "1:1", "3:4", "9:16")
_FRAMES_A_SECOND = 24
_SHORTEST, _LONGEST = 4, 15
"""Seconds that MiniMax H3 makes."""


def _steps(parameters: dict[str, Any]) -> dict[str, Any]:
    return {"steps" if k == "num_inference_steps" else k: v for k, v in parameters.items()}


def _write_together(wish: Wish, **fields: Any) -> Body:
    given = _steps(wish.parameters)
    if isinstance(given.get("target_size"), dict):
        given |= given.pop("target_size")
    return json_body({"model": wish.model, **given, **fields, **wish.extra_body})


def _write_together_prompt(wish: Wish) -> Body:
    return _write_together(wish, prompt=wish.inputs)


def _write_together_image(wish: Wish) -> Body:
    if "frame_images" in wish.extra_body:  # the caller's own key frames stand for the image
        return _write_together(wish)
    image: Blob = wish.inputs
    frame = image.reference
    if len(frame) > MAX_FRAME:
        raise InvalidInputError(
            f"The image is too large for Together: {len(frame):,} characters as a data URL, and it "
            f"takes {MAX_FRAME:,}.",
            hint="Give the image as an https URL, or make it smaller (about 45 KB at the most).",
        )
    return _write_together(wish, frame_images=[{"input_image": frame, "frame": "first"}])


def _write_novita(wish: Wish) -> Body:
    return json_body({**_steps(wish.parameters), "prompt": wish.inputs, **wish.extra_body})


def _write_minimax(wish: Wish) -> Body:
    """Write a prompt and, where there is one, a first frame.

    The model knows two resolutions, whole seconds and a few ratios; `target_size` and `num_frames`
    become the nearest of them, as in Hugging Face's JavaScript client.
    """
    given = dict(wish.parameters)
    prompt, image = given.pop("prompt", None), wish.inputs
    sides, frames = _sides(given.pop("target_size", None)), given.pop("num_frames", None)
    if not isinstance(prompt, str) or not prompt.strip():
        raise InvalidInputError(
            "This model makes no video without a prompt.", hint="Say with prompt= what happens."
        )
    content: list[dict[str, Any]] = [{"type": "text", "text": prompt}]
    if image is not None:
        picture = {"url": image.reference}
        content.append({"type": "image_url", "image_url": picture, "role": "first_frame"})
    given.setdefault("resolution", _resolution(sides))
    given.setdefault("duration", _seconds(frames))
    if image is not None:
        given["ratio"] = "adaptive"  # the picture has one already
    given.setdefault("ratio", _ratio(sides))
    return json_body({"model": wish.model, "content": content, **given, **wish.extra_body})


def _sides(size: Any) -> tuple[float, float] | None:
    if size is None:
        return None
    try:
        width, height = float(size["width"]), float(size["height"])
        if min(width, height) > 0:
            return width, height
    except (KeyError, TypeError, ValueError):
        pass  # it is told below
    raise InvalidInputError(f"{size!r} is no size.", hint='Give {"width": ..., "height": ...}.')


def _resolution(sides: tuple[float, float] | None) -> str:
    return "2K" if sides and abs(min(sides) - 768) > abs(min(sides) - 1440) else "768P"


def _seconds(frames: Any) -> int:
    if frames is None:
        return _SHORTEST
    if not isinstance(frames, (int, float)):
        raise InvalidInputError(f"{frames!r} is no number of frames.")
    return min(_LONGEST, max(_SHORTEST, int(frames / _FRAMES_A_SECOND + 0.5)))


def _ratio(sides: tuple[float, float] | None) -> str:
    if sides is None:
        return "16:9"
    wanted = sides[0] / sides[1]
    return min(_RATIOS, key=lambda ratio: abs(wanted - _quotient(ratio)))


def _quotient(ratio: str) -> float:
    width, _, height = ratio.partition(":")
    return int(width) / int(height)


def _at(*places: str) -> Callable[[Reading, Wish], Fetch]:
    """Return what reads the one video under the first of `places` that has a URL."""

    def read(reading: Reading, _wish: Wish) -> Fetch:
        answer = read_object(reading)
        for place in places:
            file = files.read_file(look(answer, place))
            if file is not None:
                return files.one(file, rest(answer, place.partition(".")[0]))
        raise unreadable(reading, f"it names no video under {' or '.join(places)}")

    return read


TOGETHER_TEXT = Shape(_write_together_prompt, _at("outputs.video_url"), TOGETHER_JOB)
TOGETHER_IMAGE = Shape(
    _write_together_image, _at("outputs.video_url"), TOGETHER_JOB, takes_urls=True
)
NOVITA_TEXT = Shape(_write_novita, _at("videos.0.video_url", "video.video_url"), NOVITA_JOB)
NOVITA_IMAGE_TEXT = Shape(_write_minimax, _at("task.content.url"), MINIMAX_JOB, takes_urls=True)
