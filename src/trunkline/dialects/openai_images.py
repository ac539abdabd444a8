"""Pictures made and edited, in OpenAI's form and in what Hugging Face's providers made of it.

How providers vary is a row. Pure: files that an answer names are fetched elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, Literal

import msgspec

from trunkline.dialects.answer_parts import MisfitError, an_object, decoded, misfit, reads
from trunkline.dialects.bodies import given, merged
from trunkline.dialects.fields import take_count, take_text
from trunkline.dialects.form_fields import form_body
from trunkline.dialects.multipart import Part
from trunkline.dialects.shape import Body, Fetch, Shape, Wish, json_body
from trunkline.errors import InvalidInputError
from trunkline.media import result_media
from trunkline.types.media import Blob, Media
from trunkline.types.results import ImageResponse


class ImageForm(msgspec.Struct, frozen=True):
    """How one kind of server wants to be asked for pictures, and where it puts them."""

    as_bytes: str | None = "b64_json"
    """What `response_format` has to say so that pictures come in the answer; None where the server
    has no such field."""
    as_url: str | None = "url"
    """The same so that they come as URLs; None where they never do."""
    size: Literal["text", "sides"] = "text"
    """`size: "512x256"`, or `width` and `height`."""
    defaults: tuple[tuple[str, Any], ...] = ()
    model_at: str = "model"
    rows_at: str = "data"
    content_at: str = "b64_json"


def image_shape(form: ImageForm) -> Shape:
    """Return the shape of text-to-image for one kind of server."""
    return Shape(partial(write_images, form), reads(partial(parse_images, form)))


def write_images(form: ImageForm, wish: Wish) -> Body:
    """Write a prompt; raises InvalidInputError for a size that cannot be said in this form."""
    body = {form.model_at: wish.model, "prompt": wish.inputs, **_asked(form, wish)}
    return json_body(merged(body, wish.extra_body))


def _asked(form: ImageForm, wish: Wish) -> dict[str, Any]:
    """Return the parameters in the server's own words."""
    resize = _in_sides if form.size == "sides" else _in_text
    asked = {**dict(form.defaults), **resize(_flat(given(wish.parameters)))}
    told = asked.pop("response_format", None)
    url = told == "url" if told is not None else not wish.download
    word = form.as_url if url and form.as_url else form.as_bytes
    if word is not None and not _answers_bytes_only(wish.model):
        asked["response_format"] = word
    return asked


def _answers_bytes_only(model: str) -> bool:
    """Tell OpenAI's models that refuse `response_format` and always answer with bytes."""
    return model.rpartition("/")[2].startswith(("gpt-image", "chatgpt-image"))


def _flat(asked: dict[str, Any]) -> dict[str, Any]:
    """Return parameters with `target_size`, as Hugging Face has it for edits, as width, height."""
    target = asked.pop("target_size", None)
    return {**target, **asked} if isinstance(target, dict) else asked


def _in_sides(asked: dict[str, Any]) -> dict[str, Any]:
    size = asked.pop("size", None)
    if size is None:
        return asked
    sides = str(size).lower().split("x")
    if len(sides) != 2 or not all(side.isascii() and side.isdigit() for side in sides):
        raise InvalidInputError(f"{size!r} is no size.", hint='Write it "1024x768".')
    return {"width": int(sides[0]), "height": int(sides[1]), **asked}


def _in_text(asked: dict[str, Any]) -> dict[str, Any]:
    width, height = asked.pop("width", None), asked.pop("height", None)
    if width is None and height is None:
        return asked
    if width is None or height is None:
        raise InvalidInputError("Width and height go together here.", hint="Give both, or neither.")
    return {"size": f"{width}x{height}", **asked}


class _Picture(msgspec.Struct, frozen=True):
    """A picture of an answer: its bytes, or where they lie."""

    content: bytes | None
    url: str | None
    prompt: str | None
    extra: dict[str, Any]

    def media(self, fetched: Iterator[Media]) -> Media:
        """Return it as a file: the next of the fetched ones where it lies elsewhere."""
        content = self.content
        file = next(fetched) if content is None else result_media(content, None, self.url)
        extra = {**file.extra, **self.extra}
        return msgspec.structs.replace(file, revised_prompt=self.prompt, extra=extra)


def parse_images(form: ImageForm, answer: Any, _: Wish) -> ImageResponse | Fetch:
    """Read pictures that come as base64, or as URLs that are still to be fetched."""
    body = an_object(answer, f"an object with {form.rows_at}")
    rows = body.pop(form.rows_at, None)
    if not isinstance(rows, list) or not rows:
        raise misfit(answer, f"an object with a list {form.rows_at} of pictures")
    pictures = [_picture(form, row) for row in rows]
    created = take_count(body, "created")

    def build(fetched: tuple[Media, ...]) -> ImageResponse:
        files = iter(fetched)
        return ImageResponse([picture.media(files) for picture in pictures], created, body)

    urls = tuple(picture.url or "" for picture in pictures if picture.content is None)
    return Fetch(urls, build) if urls else build(())


def _picture(form: ImageForm, answer: Any) -> _Picture:
    row = an_object(answer, "a picture")
    text, url = take_text(row, form.content_at), take_text(row, "url")
    prompt = take_text(row, "revised_prompt")
    if text and text.startswith(("http://", "https://")):
        text, url = None, text  # some servers put a URL where the bytes belong
    content = decoded(text, form.content_at) if text else None
    if not content and not url:
        raise MisfitError("a picture has neither content nor a URL")
    return _Picture(content or None, url, prompt, row)


_OPENAI = ImageForm()
_TOGETHER = ImageForm(as_bytes="base64", size="sides")
_HYPERBOLIC = ImageForm(
    as_bytes=None,
    as_url=None,
    size="sides",
    defaults=(("width", 512), ("height", 512)),
    model_at="model_name",
    rows_at="images",
    content_at="image",
)

IMAGES = image_shape(_OPENAI)
"""text-to-image at `POST images/generations` as OpenAI has it."""
IMAGES_TOGETHER = image_shape(_TOGETHER)
IMAGES_IN_BYTES = image_shape(ImageForm(as_url=None))
"""At DeepInfra, whose documentation knows a size but no width, and Nscale: neither gives URLs."""
IMAGES_NEBIUS = image_shape(ImageForm(size="sides"))
IMAGES_HYPERBOLIC = image_shape(_HYPERBOLIC)
"""Demands width and height, and has no `response_format`."""


def write_together_edit(wish: Wish) -> Body:
    """Write a picture to be changed. FLUX.1 Kontext takes one URL, all others a list of them."""
    picture = _given_picture(wish).data_url
    model = wish.model.lower()
    kontext = "kontext" in model and "flux.1" in model
    place = {"image_url": picture} if kontext else {"reference_images": [picture]}
    body = {"model": wish.model, "prompt": "", **_asked(_TOGETHER, wish), **place}
    return json_body(merged(body, wish.extra_body))


def write_edit(wish: Wish) -> Body:
    """Write a picture to be changed as a form; a parameter that is a Blob (`mask`) is a file too.

    `more_images` are further ones to be changed along with it.
    """
    picture = _given_picture(wish)
    asked = {"model": wish.model, "prompt": "", **_asked(_OPENAI, wish), **wish.extra_body}
    pictures = (picture, *asked.pop("more_images", ()))
    blobs = {name: value for name, value in asked.items() if isinstance(value, Blob)}
    fields = {name: value for name, value in asked.items() if name not in blobs}
    name = "image[]" if len(pictures) > 1 else "image"
    files = [*((name, one) for one in pictures), *blobs.items()]
    return form_body(
        fields, [Part(name, b.content, b.file_name, b.media_type) for name, b in files]
    )


def _given_picture(wish: Wish) -> Blob:
    if not isinstance(wish.inputs, Blob):
        raise InvalidInputError("There is no picture to change.", hint="Give a file.")
    return wish.inputs


IMAGE_EDIT_TOGETHER = Shape(write_together_edit, reads(partial(parse_images, _TOGETHER)))
"""image-to-image at `POST images/generations`, with the fields that both of Hugging Face's clients
choose by the model's name."""
IMAGE_EDIT = Shape(write_edit, reads(partial(parse_images, _OPENAI)))
"""image-to-image at `POST images/edits`, a form. `inputs` is a Blob, the prompt a parameter."""
