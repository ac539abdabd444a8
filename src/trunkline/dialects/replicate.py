"""Replicate's format: everything under `input`, an `output` of whatever form the model has.

Its models do not agree on names, so a file goes under each of those in use.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trunkline.dialects import files
from trunkline.dialects.files import File, read_object, rest
from trunkline.dialects.jobs import JobForm
from trunkline.dialects.shape import Body, Fetch, Reading, Shape, Wish, json_body, unreadable
from trunkline.dialects.transcripts import take_chunks
from trunkline.types.media import Blob, Media
from trunkline.types.results import Transcription

PREDICTION = JobForm(
    id_at="id",
    state_at="status",
    done=frozenset({"succeeded"}),
    failed=frozenset({"failed"}),
    cancelled=frozenset({"canceled", "aborted"}),
    path="v1/predictions/{id}",
    url_at="urls.get",
    cancel=("POST", "/cancel"),
    reason_at=("error", "detail"),
    early_at="output",
)
"""`Prefer: wait` holds the answer back for up to 60 seconds. With an output it is whole, though its
status says `processing`; without one the prediction is polled like any other job."""

_WAIT = ("prefer", "wait")
_TEXTS = ("transcription", "translation", "text")
_LANGUAGES = ("detected_language", "language")


def _write(wish: Wish, **fields: Any) -> Body:
    extra = dict(wish.extra_body)
    more = extra.pop("input", None)
    given = {**wish.parameters, **fields, **(more if isinstance(more, dict) else {})}
    body: dict[str, Any] = {"input": given}
    _, versioned, version = wish.model.partition(":")
    if versioned:
        body["version"] = version
    return json_body({**body, **extra}, _WAIT)


def _write_prompt(wish: Wish) -> Body:
    return _write(wish, prompt=wish.inputs)


def _write_image_prompt(wish: Wish) -> Body:
    return _write(wish, prompt=wish.inputs, **_lora(wish))


def _write_text(wish: Wish) -> Body:
    return _write(wish, text=wish.inputs)


def _write_audio(wish: Wish) -> Body:
    return _write(wish, audio=wish.inputs.reference)


def _write_image(wish: Wish) -> Body:
    blob: Blob = wish.inputs
    image = blob.reference
    names = {"image": image, "images": [image], "input_image": image, "input_images": [image]}
    return _write(wish, **names, **_lora(wish))


def _lora(wish: Wish) -> dict[str, str]:
    if wish.lora is None or not wish.lora.weights:
        return {}
    return {"lora_weights": f"{wish.lora.hub}/{wish.lora.repo}"}


def _output(reading: Reading) -> tuple[Any, dict[str, Any]]:
    """Return a prediction's output and what else is told of it, but not the caller's own input."""
    answer = read_object(reading)
    output = answer.get("output")
    if output is None or output in ([], {}):
        raise unreadable(reading, "the prediction has no output")
    return output, rest(answer, "output", "input")


def _files(output: Any, wanted: str) -> list[File]:
    """Find the files in an output: a URL, a list, or an object with one field that has any."""
    if not isinstance(output, dict) or "url" in output:
        return files.read_files(output)
    found = {name: files.read_files(value) for name, value in output.items()}
    named = {name: value for name, value in found.items() if value}
    if len(named) > 1:
        named = {name: value for name, value in named.items() if name.startswith(wanted)}
    return next(iter(named.values())) if len(named) == 1 else []


def _read_images(reading: Reading, _wish: Wish) -> Fetch:
    output, extra = _output(reading)
    found = _files(output, "image")
    if not found:
        raise unreadable(reading, "its output names no image")
    return files.images(found, extra)


def _one(kind: str) -> Callable[[Reading, Wish], Fetch]:
    def read(reading: Reading, _wish: Wish) -> Fetch:
        output, extra = _output(reading)
        found = _files(output, kind)
        if not found:
            raise unreadable(reading, f"its output names no {kind}")
        return files.one(found[0], extra)

    return read


def _read_transcription(reading: Reading, _wish: Wish) -> Transcription | Fetch:
    """Read a text, pieces of one, or an object; a text that lies in a file is fetched."""
    output, extra = _output(reading)
    if isinstance(output, str):
        return Transcription(output, extra=extra)
    if isinstance(output, list) and all(isinstance(piece, str) for piece in output):
        return Transcription("".join(output), extra=extra)
    output = output[0] if isinstance(output, list) else output
    if not isinstance(output, dict):
        raise unreadable(reading, "its output is no text")
    name = next((key for key in _TEXTS if isinstance(output.get(key), str)), None)
    if name is not None:
        return _transcription(output[name], rest(output, name), extra)
    file = files.read_file(output.get("txt_file"))
    if file is None:
        raise unreadable(reading, "its output has no text")
    left = rest(output, "txt_file")
    return Fetch((file.url,), lambda media: _transcription(_text(media[0]), left, extra))


def _text(media: Media) -> str:
    return media.bytes.decode("utf-8", "replace")


def _transcription(text: str, output: dict[str, Any], extra: dict[str, Any]) -> Transcription:
    told = {**extra, **output}
    spoken = next((output[key] for key in _LANGUAGES if isinstance(output.get(key), str)), None)
    return Transcription(text, take_chunks(told), language=spoken, extra=told)


TEXT_TO_IMAGE = Shape(_write_image_prompt, _read_images, PREDICTION)
IMAGE_TO_IMAGE = Shape(_write_image, _read_images, PREDICTION, takes_urls=True)
TEXT_TO_VIDEO = Shape(_write_prompt, _one("video"), PREDICTION)
TEXT_TO_SPEECH = Shape(_write_text, _one("audio"), PREDICTION)
SPEECH_RECOGNITION = Shape(_write_audio, _read_transcription, PREDICTION, takes_urls=True)
