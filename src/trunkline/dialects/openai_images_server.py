"""OpenAI's pictures as the one who answers: fields in, a request out; pictures back as JSON.

It opens nothing and knows no provider.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from trunkline.dialects.asked_fields import (
    FLAG,
    TEXT,
    Field,
    decimal,
    known_fields,
    take_files,
    take_text,
    whole,
    words,
)
from trunkline.dialects.openai_rules import RequestError, take_model
from trunkline.errors import InvalidInputError, InvalidResponseError
from trunkline.types.media import Blob, Media
from trunkline.types.results import ImageResponse
from trunkline.wire import strict_json
from trunkline.wire.message import parse_url

Form = Literal["b64_json", "url"]

_SIZE = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})", re.ASCII)
_MOST = 16
"""Pictures of one request, and given with one."""

IMAGE_FIELDS: dict[str, Field] = {
    "background": TEXT,
    "guidance_scale": decimal(0, 1000),
    "input_fidelity": TEXT,
    "moderation": TEXT,
    "n": whole(1, _MOST),
    "negative_prompt": TEXT,
    "num_inference_steps": whole(1, 1000),
    "output_compression": whole(0, 100),
    "output_format": TEXT,
    "partial_images": whole(0, 3),
    "quality": TEXT,
    "response_format": words("b64_json", "url"),
    "safety_identifier": TEXT,
    "scheduler": TEXT,
    "seed": whole(-(2**62), 2**62),
    "size": TEXT,
    "stream": FLAG,
    "style": TEXT,
    "user": TEXT,
}
"""OpenAI's parameters of pictures, and those that Hugging Face's tasks have besides."""


class ImagesRequest(msgspec.Struct, frozen=True):
    """A request for pictures; its model is named as the client named it."""

    model: str
    prompt: str
    images: tuple[Blob, ...] = ()
    """Those to be changed; none where pictures are made anew."""
    mask: Blob | None = None
    form: Form | None = None
    """How pictures shall come; None where that was not said."""
    size: tuple[int, int] | None = None
    """Width and height."""
    parameters: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    """Fields that nobody here knows."""


def read_images(fields: Mapping[str, Any], *, form: bool = False) -> ImagesRequest:
    """Read a request for new pictures; raises RequestError, naming the parameter."""
    body = dict(fields)
    model, prompt = take_model(body), take_text(body, "prompt")
    return _request(model, prompt, body, form=form)


def read_image_edit(fields: Mapping[str, Any], *, form: bool = False, most: int) -> ImagesRequest:
    """Read a request to change pictures, of `most` bytes each; raises RequestError."""
    body = dict(fields)
    model, prompt = take_model(body), take_text(body, "prompt")
    name = "images" if "images" in body and "image" not in body else "image"
    images = take_files(body, name, "image", most)
    if not images:
        raise RequestError("'image' is missing: the picture to be changed.", param="image")
    if len(images) > _MOST:
        raise RequestError(f"'{name}' has more than {_MOST} pictures.", param=name)
    mask = next(iter(take_files(body, "mask", "image", most)), None)
    request = _request(model, prompt, body, form=form)
    return msgspec.structs.replace(request, images=images, mask=mask)


def _request(model: str, prompt: str, body: dict[str, Any], *, form: bool) -> ImagesRequest:
    known, extra = known_fields(body, IMAGE_FIELDS, form=form)
    if known.pop("stream", False) or known.pop("partial_images", 0):
        raise RequestError(
            "Pictures come whole here: leave out 'stream' and 'partial_images'.", param="stream"
        )
    known = {name: value for name, value in known.items() if value != "auto"}
    size = sides(known.pop("size", None))
    if known.get("n") == 1:
        del known["n"]  # what every server does anyway, and some cannot be told
    wanted = known.pop("response_format", None)
    return ImagesRequest(model, prompt, (), None, wanted, size, known, extra)


def sides(size: str | None) -> tuple[int, int] | None:
    """Return the width and height that a size names; raises RequestError for what is none."""
    if size is None or size == "auto":
        return None
    found = _SIZE.fullmatch(size)
    if found is None:
        raise RequestError("'size' must be a size such as '1024x768', or 'auto'.", param="size")
    return int(found[1]), int(found[2])


def images_body(result: ImageResponse, form: Form | None, created: int) -> bytes:
    """Write pictures as the client wants them; `created` is when, unless the provider said so.

    A picture that came as bytes and is wanted as a URL becomes a `data:` URL. Raises
    InvalidResponseError for a URL that nobody should be sent to.
    """
    told = result.created if result.created is not None else created
    rows = [_row(picture, form) for picture in result.data]
    return strict_json.encode({"created": told, "data": rows, **result.extra})


def _row(picture: Media, form: Form | None) -> dict[str, Any]:
    row: dict[str, Any] = {}
    url = None if picture.url is None else _web(picture.url)
    if form == "url":
        row["url"] = url or _data_url(picture)
    elif picture.content is not None:
        row["b64_json"] = picture.b64_json
        if form is None and url is not None:
            row["url"] = url
    if picture.revised_prompt is not None:
        row["revised_prompt"] = picture.revised_prompt
    return row


def _web(url: str) -> str | None:
    """Return an http(s) URL; None for a `data:` URL, whose content is there."""
    if url[:5].lower() == "data:":
        return None
    try:
        parse_url(url.partition("#")[0])
    except InvalidInputError as error:
        raise InvalidResponseError("The provider named a picture by what is no URL.") from error
    return url


def _data_url(picture: Media) -> str:
    kind = picture.media_type or "application/octet-stream"
    return Blob(picture.bytes, kind).data_url
