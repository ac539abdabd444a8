"""Videos as OpenAI shaped them and servers took over: a form in, a job, and the file beside it."""

from __future__ import annotations

from typing import Any

from trunkline.dialects.form_fields import form_body
from trunkline.dialects.jobs import JobForm
from trunkline.dialects.multipart import Part
from trunkline.dialects.shape import Body, Reading, Shape, Wish, unreadable
from trunkline.media import result_media
from trunkline.types.media import Blob, Media

VIDEO_JOB = JobForm(
    id_at="id",
    state_at="status",
    done=frozenset({"completed"}),
    failed=frozenset({"failed"}),
    cancelled=frozenset({"cancelled"}),
    path="videos/{id}",
    content="/content",
    cancel=("DELETE", ""),
    reason_at=("error.message", "error.code"),
    first=1.0,
)


def write_video(wish: Wish) -> Body:
    """Write a prompt, and where there is one the picture to begin with, as a form."""
    asked = dict(wish.parameters)
    size = asked.pop("target_size", None)
    if isinstance(size, dict):
        asked.setdefault("size", f"{size['width']}x{size['height']}")
    image: Blob | None = wish.inputs if isinstance(wish.inputs, Blob) else None
    prompt: Any = asked.pop("prompt", "") if not isinstance(wish.inputs, str) else wish.inputs
    fields = {"model": wish.model, "prompt": prompt, **asked, **wish.extra_body}
    files = []
    if image is not None:
        files = [Part("input_reference", image.content, image.file_name, image.media_type)]
    return form_body(fields, files)


def read_video(reading: Reading, _: Wish) -> Media:
    """Take the body as the video."""
    if not reading.body or reading.content_type.startswith(("text/", "application/json")):
        raise unreadable(reading, "it is no video")
    return result_media(reading.body, reading.content_type, None)


VIDEO = Shape(write_video, read_video, VIDEO_JOB)
"""text-to-video, and with a picture, at `POST videos`."""
