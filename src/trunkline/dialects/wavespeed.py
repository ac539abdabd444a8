"""WaveSpeedAI's format: flat bodies with images as bare base64, and predictions under `data`."""

from __future__ import annotations

from typing import Any

from trunkline.dialects import files
from trunkline.dialects.files import File, read_object, rest
from trunkline.dialects.jobs import JobForm
from trunkline.dialects.shape import Body, Fetch, Reading, Shape, Wish, json_body, unreadable
from trunkline.errors import ContentPolicyViolationError
from trunkline.types.media import Blob

PREDICTION = JobForm(
    id_at="data.id",
    state_at="data.status",
    done=frozenset({"completed"}),
    failed=frozenset({"failed"}),
    cancelled=frozenset({"cancelled", "canceled"}),
    path="api/v3/predictions/{id}/result",
    url_at="data.urls.get",
    reason_at=("data.error",),
)

_NOTHING = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII="
)
"""A transparent PNG of one pixel, in base64: what a model that wants an image gets without one."""


def _write(wish: Wish, **fields: Any) -> Body:
    loras: dict[str, Any] = {}
    if wish.lora is not None:
        loras["loras"] = [{"path": wish.lora.repo, "scale": 1}]
    return json_body({**wish.parameters, **fields, **loras, **wish.extra_body})


def _write_prompt(wish: Wish) -> Body:
    return _write(wish, prompt=wish.inputs)


def _write_image(wish: Wish) -> Body:
    """Write the image alone and in a list; further images may be given as `images`."""
    image = _image(wish.inputs)
    return _write(wish, image=image, images=wish.parameters.get("images", [image]))


def _image(blob: Blob | None) -> str:
    if blob is None:
        return _NOTHING
    return blob.url if blob.url is not None and not blob.content else blob.base64


def _outputs(reading: Reading) -> tuple[list[File], dict[str, Any]]:
    """Return the files of a finished prediction, and what else is told of it."""
    answer = read_object(reading)
    data = answer.get("data")
    if not isinstance(data, dict):
        raise unreadable(reading, f"it has no prediction ({answer.get('message')})")
    found = files.read_files(data.get("outputs"))
    if not found:
        flags = data.get("has_nsfw_contents")
        if isinstance(flags, list) and True in flags:
            raise ContentPolicyViolationError(
                "The provider made a file, took its content for unsafe and keeps it back.",
                body=answer,
            )
        raise unreadable(reading, "the prediction has no output")
    return found, rest(data, "outputs")


def _read_images(reading: Reading, _wish: Wish) -> Fetch:
    found, extra = _outputs(reading)
    return files.images(found, extra)


def _read_video(reading: Reading, _wish: Wish) -> Fetch:
    found, extra = _outputs(reading)
    return files.one(found[0], extra)


TEXT_TO_IMAGE = Shape(_write_prompt, _read_images, PREDICTION)
TEXT_TO_VIDEO = Shape(_write_prompt, _read_video, PREDICTION)
IMAGE_TO_IMAGE = Shape(_write_image, _read_images, PREDICTION, takes_urls=True)
IMAGE_TO_VIDEO = Shape(_write_image, _read_video, PREDICTION, takes_urls=True)
