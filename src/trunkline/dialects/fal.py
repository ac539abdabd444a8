"""fal's own format: flat bodies, files as URLs in both directions, and its queue.

A task is written once, whether it goes to the queue or to the synchronous host; which of the two
it is, its route says.
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
from trunkline.types.results import AudioPart, Items, Segment, Transcription

QUEUE = JobForm(
    id_at="request_id",
    state_at="status",
    done=frozenset({"COMPLETED"}),
    failed=frozenset({"FAILED", "ERROR"}),
    cancelled=frozenset({"CANCELLED", "CANCELED"}),
    url_at="response_url",  # it has the app's path, which is not the model's: fal-ai/flux
    status="/status",
    fetch_result=True,  # a failed job is COMPLETED too, and its result answers with the error
    routed_query="_subdomain=queue",
    cancel=("PUT", "/cancel"),
    reason_at=("error", "detail"),
    position_at="queue_position",
)

_LORA_ONLY = "fal-ai/lora"
_LORA_BASE = "stabilityai/stable-diffusion-xl-base-1.0"
_SIZED = frozenset({"text-to-image", "image-to-image", "image-text-to-image"})
_AUDIO_LABELS = {
    "audio/wav": "audio/x-wav",
    "audio/wave": "audio/x-wav",
    "audio/x-wav": "audio/x-wav",
    "audio/webm": "video/webm",
    "video/webm": "video/webm",
}
_AUDIO_LABEL = "audio/mpeg"
"""fal refuses a data URL whose type it has no file ending for (audio/wav, audio/ogg, audio/flac)
and decodes by content, so whatever has no label that it takes goes under this one."""


def _parameters(wish: Wish) -> dict[str, Any]:
    """Return the parameters, with an image's size where fal looks for it.

    fal passes over `width`, `height` and `target_size` without a word.
    """
    given = dict(wish.parameters)
    if wish.task not in _SIZED:
        return given
    if "target_size" in given:
        given.setdefault("image_size", given.pop("target_size"))
    if "width" in given and "height" in given:
        size = {"width": given.pop("width"), "height": given.pop("height")}
        given.setdefault("image_size", size)
    return given


def _loras(wish: Wish) -> dict[str, Any]:
    if wish.lora is None or not wish.lora.weights:
        return {}
    written: dict[str, Any] = {"loras": [{"path": wish.lora.url, "scale": 1}]}
    if wish.model == _LORA_ONLY:  # of its apps only this one does not know what it adapts
        written["model_name"] = _LORA_BASE
    return written


def _write(wish: Wish, **fields: Any) -> Body:
    return json_body({**_parameters(wish), **fields, **_loras(wish), **wish.extra_body})


def _write_prompt(wish: Wish) -> Body:
    return _write(wish, prompt=wish.inputs)


def _write_text(wish: Wish) -> Body:
    return _write(wish, text=wish.inputs)


def _write_image(wish: Wish) -> Body:
    """Write an image under both names: some apps take one, some a list. Without one, neither."""
    image: Blob | None = wish.inputs
    if image is None:
        return _write(wish)
    return _write(wish, image_url=image.reference, image_urls=[image.reference])


def _write_first_frame(wish: Wish) -> Body:
    image: Blob | None = wish.inputs
    return _write(wish) if image is None else _write(wish, image_url=image.reference)


def _write_segmented(wish: Wish) -> Body:
    return _write(wish, image_url=wish.inputs.reference, sync_mode=True)


def _write_audio(wish: Wish) -> Body:
    return _write(wish, audio_url=audio_url(wish.inputs))


def audio_url(audio: Blob) -> str:
    """Return the URL of a sound, a data URL under a type that fal takes."""
    if audio.url is not None and not audio.content:
        return audio.url
    label = _AUDIO_LABELS.get(audio.media_type, _AUDIO_LABEL)
    return f"data:{label};base64,{audio.base64}"


def _read_images(reading: Reading, _wish: Wish) -> Fetch:
    """Read `images`, or `image`. What fal took for unsafe it blacks out and flags, in `extra`."""
    answer = read_object(reading)
    name, found = _named(reading, answer, ("images", "image"))
    return files.images(found, rest(answer, name))


def _one_of(*names: str) -> Callable[[Reading, Wish], Fetch]:
    def read(reading: Reading, _wish: Wish) -> Fetch:
        answer = read_object(reading)
        name, found = _named(reading, answer, names)
        return files.one(found[0], rest(answer, name))

    return read


def _read_segment(reading: Reading, _wish: Wish) -> Fetch:
    """Read the one mask that fal makes; it tells neither what it shows nor how sure it is."""
    answer = read_object(reading)
    name, found = _named(reading, answer, ("image", "images"))
    file, extra = found[0], rest(answer, name)

    def build(media: tuple[Media, ...]) -> Items[Segment]:
        return Items([Segment("mask", None, file.told(media[0]), extra)])

    return Fetch((file.url,), build)


def _read_audio_part(reading: Reading, _wish: Wish) -> Fetch:
    answer = read_object(reading)
    name, found = _named(reading, answer, ("audio", "audio_file"))
    file, extra = found[0], rest(answer, name)

    def build(media: tuple[Media, ...]) -> Items[AudioPart]:
        return Items([AudioPart(None, file.told(media[0]), extra)])

    return Fetch((file.url,), build)


def _named(
    reading: Reading, answer: dict[str, Any], names: tuple[str, ...]
) -> tuple[str, list[File]]:
    """Return the first of the fields that names files, and the files."""
    for name in names:
        found = files.read_files(answer.get(name))
        if found:
            return name, found
    raise unreadable(reading, f"it names no file under {' or '.join(names)}")


def _read_transcription(reading: Reading, _wish: Wish) -> Transcription:
    """Read `text` with `chunks` (whisper), or `output` with `segments` (nemotron)."""
    answer = dict(read_object(reading))
    name = next((key for key in ("text", "output") if isinstance(answer.get(key), str)), None)
    if name is None:
        raise unreadable(reading, "it has no text")
    return Transcription(
        text=answer.pop(name),
        chunks=take_chunks(answer),
        language=_language(answer.get("inferred_languages")),
        extra=answer,
    )


def _language(told: Any) -> str | None:
    """Return the language where it is one; a recording may have several."""
    alone = told[0] if isinstance(told, list) and len(told) == 1 else None
    return alone if isinstance(alone, str) else None


_read_video = _one_of("video", "videos")
_read_audio = _one_of("audio_file", "audio")

TEXT_TO_IMAGE = Shape(_write_prompt, _read_images, QUEUE)
TEXT_TO_VIDEO = Shape(_write_prompt, _read_video, QUEUE)
TEXT_TO_AUDIO = Shape(_write_prompt, _read_audio, QUEUE)
IMAGE_TO_IMAGE = Shape(_write_image, _read_images, QUEUE, takes_urls=True)
IMAGE_TO_VIDEO = Shape(_write_first_frame, _read_video, QUEUE, takes_urls=True)
IMAGE_SEGMENTATION = Shape(_write_segmented, _read_segment, QUEUE, takes_urls=True)
AUDIO_TO_AUDIO = Shape(_write_audio, _read_audio_part, QUEUE, takes_urls=True)
TEXT_TO_SPEECH = Shape(_write_text, _read_audio)
SPEECH_RECOGNITION = Shape(_write_audio, _read_transcription, takes_urls=True)
