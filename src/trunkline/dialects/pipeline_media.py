"""Answers about pictures and sounds, and pictures and sounds as answers, as hf-inference gives them.

A file comes as raw bytes, in base64 within JSON, or as a URL that is still to be fetched.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from trunkline.dialects.answer_parts import (
    MisfitError,
    alone,
    an_object,
    decoded,
    misfit,
    name,
    number,
    optional_number,
    optional_text,
    several,
    text,
)
from trunkline.dialects.shape import Fetch, Reading, Wish, unreadable
from trunkline.errors import InvalidResponseError
from trunkline.media.results import result_media
from trunkline.media.sniff import sniff, sniff_text
from trunkline.types.media import Media
from trunkline.types.results import (
    AudioPart,
    Box,
    Detection,
    ImageResponse,
    Items,
    Segment,
)

_BOX = ("xmin", "ymin", "xmax", "ymax")
_IMAGES = ("data", "images", "output", "image")
"""Where the images of a JSON answer lie."""
_FILES = ("b64_json", "url", "image", "audio", "blob")
"""Where the file of an object lies: base64 text or a URL."""
_EXPECTED = {"image": "an image", "audio": "a sound"}
_JSON = (b"{", b"[", b'"')


def detection(answer: Any) -> Detection:
    """Read a thing and its box."""
    row = an_object(answer, "an object with label and box")
    if "label" not in row or not isinstance(row.get("box"), dict):
        raise misfit(answer, "an object with label and box")
    box = row.pop("box")
    sides = [number(box.get(side), side) for side in _BOX]
    found = Box(*sides)
    if left := {key: value for key, value in box.items() if key not in _BOX}:
        row["box"] = left
    return Detection(name(row, "label"), optional_number(row, "score"), found, row)


def parse_detections(answer: Any, wish: Wish) -> Items[Any]:
    """Read the things in a picture."""
    return several(answer, wish, detection)


def segment(answer: Any) -> Segment:
    """Read a region; its mask is a picture in base64, PNG where its bytes do not say."""
    row = an_object(answer, "an object with label and mask")
    if not isinstance(row.get("mask"), str):
        raise misfit(answer, "an object with label and mask")
    mask = _media(decoded(text(row, "mask"), "a mask"), "image/png")
    return Segment(optional_text(row, "label"), optional_number(row, "score"), mask, row)


def parse_segments(answer: Any, wish: Wish) -> Items[Any]:
    """Read the regions of a picture."""
    return several(answer, wish, segment)


def read_images(reading: Reading, _wish: Wish) -> ImageResponse | Fetch:
    """Read an image's bytes, or JSON: `{"data": [{"b64_json"}]}`, `{"output": [url]}`, `{"images"}`."""
    if (image := _raw(reading, "image")) is not None:
        return ImageResponse(data=[image])
    answer = reading.json
    try:
        files, extra = _image_files(answer)
        found: ImageResponse | Fetch
        found = _fetched(files, lambda media: ImageResponse(data=media, extra=extra))
        return found
    except MisfitError as error:
        raise unreadable(reading, str(error)) from error


def _image_files(answer: Any) -> tuple[list[Media], dict[str, Any]]:
    """Return the images of an answer, which a toolkit may give as bare base64, and what is left."""
    row: dict[str, Any] = {}
    found = alone(answer)
    if isinstance(found, dict):
        row = dict(found)
        place = next((key for key in _IMAGES if row.get(key)), None)
        if place is None:
            raise misfit(answer, _EXPECTED["image"])
        found = row.pop(place)
    items = found if isinstance(found, list) else [found]
    if not items:
        raise misfit(answer, _EXPECTED["image"])
    return [_file(item, _EXPECTED["image"]) for item in items], row


def read_sound(reading: Reading, _wish: Wish) -> Media | Fetch:
    """Read a sound's bytes, or JSON: `{"audio": base64 or URL}`, also in a list of one."""
    if (sound := _raw(reading, "audio")) is not None:
        return sound
    answer = reading.json
    try:
        found: Media | Fetch
        found = _fetched([_file(alone(answer), _EXPECTED["audio"])], lambda media: media[0])
        return found
    except MisfitError as error:
        raise unreadable(reading, str(error)) from error


def read_sounds(reading: Reading, wish: Wish) -> Items[AudioPart]:
    """Read `[{"label", "blob": base64, "content-type"}]`, or the bytes of a single sound."""
    if (sound := _raw(reading, "audio")) is not None:
        return Items([AudioPart(None, sound)])
    answer = reading.json
    try:
        return several(answer, wish, _audio_part)
    except MisfitError as error:
        raise unreadable(reading, str(error)) from error


def _audio_part(answer: Any) -> AudioPart:
    row = an_object(answer, "an object with label and blob")
    if not isinstance(row.get("blob"), str):
        raise misfit(answer, "an object with label and blob")
    content = decoded(text(row, "blob"), "a blob")
    told = optional_text(row, "content-type")
    return AudioPart(optional_text(row, "label"), _media(content, told), row)


def _raw(reading: Reading, family: str) -> Media | None:
    """Return the body as the file that it is; None where it looks like JSON.

    What it begins with is believed first, then its type; samples without a header have only that.
    """
    if not reading.body:
        raise unreadable(reading, "it is empty")
    kind = sniff(reading.body)
    if kind is not None and not kind.weak:
        if kind.family == family or (family == "audio" and kind.sound is not None):
            return result_media(reading.body, reading.content_type, None)
        raise unreadable(reading, f"it is {kind.what}, where {_EXPECTED[family]} is expected")
    named = reading.content_type.startswith((f"{family}/", "application/octet-stream"))
    written = reading.body.lstrip()[:1] in _JSON and sniff_text(reading.body) is not None
    if written or not (named or (kind is not None and kind.family == family)):
        return None
    return result_media(reading.body, reading.content_type, None)


def _media(content: bytes, told: str | None) -> Media:
    try:
        return result_media(content, told, None)
    except InvalidResponseError as error:
        raise MisfitError(error.message) from error


def _file(answer: Any, expected: str) -> Media:
    """Read a file: base64 text, a URL, or an object that has one of them under a name."""
    if isinstance(answer, dict):
        row = dict(answer)
        place = next((key for key in _FILES if row.get(key)), None)
        if place is None:
            raise misfit(answer, expected)
        inner = _file(row.pop(place), expected)
        kind = optional_text(row, "content-type") or optional_text(row, "content_type")
        prompt = optional_text(row, "revised_prompt")
        return Media(
            inner.content, inner.media_type or kind, inner.url, prompt, {**inner.extra, **row}
        )
    if not isinstance(answer, str) or not answer:
        raise misfit(answer, expected)
    if answer.startswith(("http://", "https://")):
        return Media(url=answer)
    return _media(decoded(answer, expected), None)


def _fetched(files: list[Media], build: Callable[[list[Media]], Any]) -> Any:
    """Return what `build` makes of the files, or a Fetch where some are still to be fetched."""
    urls = tuple(file.url for file in files if file.url is not None)
    if not urls:
        return build(files)

    def complete(fetched: tuple[Media, ...]) -> Any:
        ready = iter(fetched)
        return build([file if file.url is None else _with(file, next(ready)) for file in files])

    return Fetch(urls, complete)


def _with(file: Media, fetched: Media) -> Media:
    """Return a fetched file with what the answer said of it."""
    return msgspec.structs.replace(
        fetched,
        media_type=fetched.media_type or file.media_type,
        revised_prompt=file.revised_prompt,
        extra={**fetched.extra, **file.extra},
    )
