"""OpenAI's videos as the one who answers: a request for one, and how its job goes, as JSON.

It opens nothing and knows no provider. What a provider does not tell is null, never made up.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from trunkline.dialects.asked_fields import TEXT, Field, known_fields, take_files, take_text, whole
from trunkline.dialects.openai_images_server import sides
from trunkline.dialects.openai_rules import RequestError, take_model
from trunkline.types.media import Blob
from trunkline.wire import strict_json

Status = Literal["queued", "in_progress", "completed", "failed"]

_FIELDS: dict[str, Field] = {
    "guidance_scale": Field((lambda v: type(v) in (int, float), "a number"), float),
    "negative_prompt": TEXT,
    "num_frames": whole(1, 100_000),
    "num_inference_steps": whole(1, 1000),
    "seconds": Field(
        (
            lambda v: (isinstance(v, str) and v.isascii() and v.isdigit()) or type(v) is int,
            "a number of seconds, such as '4'",
        )
    ),
    "seed": whole(-(2**62), 2**62),
    "size": TEXT,
    "user": TEXT,
}


class VideoRequest(msgspec.Struct, frozen=True):
    """A request for a video; its model is named as the client named it."""

    model: str
    prompt: str
    image: Blob | None = None
    """The picture that it begins with."""
    size: str | None = None
    seconds: str | None = None
    parameters: dict[str, Any] = {}
    extra: dict[str, Any] = {}


class VideoTold(msgspec.Struct, frozen=True):
    """What is known of a video that is being made, or was."""

    id: str
    model: str
    created: int
    status: Status = "queued"
    size: str | None = None
    seconds: str | None = None
    code: str | None = None
    reason: str | None = None
    """Why it failed."""


def read_video(fields: Mapping[str, Any], *, form: bool = False, most: int) -> VideoRequest:
    """Read a request with a picture of at most `most` bytes; raises RequestError."""
    body = dict(fields)
    model, prompt = take_model(body), take_text(body, "prompt")
    images = take_files(body, "input_reference", "image", most)
    if len(images) > 1:
        raise RequestError("'input_reference' must be one picture.", param="input_reference")
    known, extra = known_fields(body, _FIELDS, form=form)
    size, seconds = known.pop("size", None), known.pop("seconds", None)
    wanted = sides(size)
    if wanted is not None:
        known["target_size"] = {"width": wanted[0], "height": wanted[1]}
    if seconds is not None:
        known["seconds"] = str(seconds)
    image = images[0] if images else None
    return VideoRequest(model, prompt, image, size, known.get("seconds"), known, extra)


def video_body(told: VideoTold) -> bytes:
    """Write how a video is getting on."""
    failed = told.status == "failed"
    error = {"code": told.code or "failed", "message": told.reason or ""} if failed else None
    return strict_json.encode(
        {
            "id": told.id,
            "object": "video",
            "created_at": told.created,
            "completed_at": None,
            "expires_at": None,
            "error": error,
            "model": told.model,
            "progress": 100 if told.status == "completed" else None,
            "prompt": None,
            "remixed_from_video_id": None,
            "seconds": told.seconds,
            "size": told.size,
            "status": told.status,
        }
    )


def gone_body(video_id: str) -> bytes:
    """Write that a video's job was cancelled."""
    return strict_json.encode({"id": video_id, "object": "video.deleted", "deleted": True})
