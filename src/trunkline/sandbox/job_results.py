"""What a queued task makes: pictures, videos, sounds and texts, as links to files of the sandbox."""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.sandbox import media_files
from trunkline.sandbox.arrivals import Arrived, NoFileError, arrived
from trunkline.sandbox.visit import Visit

IMAGE_TASKS = frozenset(
    {"image-segmentation", "image-text-to-image", "image-to-image", "text-to-image"}
)
VIDEO_TASKS = frozenset({"image-text-to-video", "image-to-video", "text-to-video"})
SOUND_TASKS = frozenset({"audio-to-audio", "text-to-audio", "text-to-speech"})


class Made(msgspec.Struct, frozen=True):
    """What a job makes."""

    task: str
    prompt: str
    url: str | None = None
    """None for a text, and where a fault says that nothing is made."""
    kind: str = ""
    width: int = 0
    height: int = 0
    seconds: float = 0.0
    text: str = ""
    mark: str = ""


class Order(msgspec.Struct, frozen=True):
    """What a provider was asked to make, its own names taken away."""

    task: str
    prompt: str = ""
    files: tuple[str, ...] = ()
    """Files that came with it: URLs, `data:` URLs or base64, see `bare`."""
    width: int = 1024
    height: int = 768
    bare: bool = False
    """Whether files may be base64 alone."""


def make(visit: Visit, order: Order) -> Made:
    """Make what was ordered; raises NoFileError for a file that is none."""
    task = order.task
    sounds = task in ("audio-to-audio", "automatic-speech-recognition")
    kind = "audio" if sounds else "image"
    seen = [arrived(value, kind=kind, bare=order.bare) for value in order.files]
    mark = visit.mark(task, visit.head.path, visit.body)
    if task == "automatic-speech-recognition":
        return _heard(seen, mark)
    made = Made(task, order.prompt, mark=mark)
    if visit.fault == "job-no-output":
        return made
    if task in IMAGE_TASKS:
        size = order.width, order.height
        url = media_files.link(visit, "png", mark, *size)
        return msgspec.structs.replace(made, url=url, kind="png", width=size[0], height=size[1])
    if task in VIDEO_TASKS:
        url = media_files.link(visit, "mp4", mark)
        return msgspec.structs.replace(made, url=url, kind="mp4", seconds=2.0)
    seconds = media_files.spoken_seconds(order.prompt)
    url = media_files.link(visit, "wav", mark, seconds)
    return msgspec.structs.replace(made, url=url, kind="wav", seconds=float(seconds))


def _heard(seen: list[Arrived], mark: str) -> Made:
    if not seen:
        raise NoFileError("none was given")
    text = f"[simulated] {seen[0]}"
    seconds = seen[0].seconds or 1.0
    return Made("automatic-speech-recognition", "", seconds=seconds, text=text, mark=mark)


def pixels(value: Any, default: int) -> int:
    """Return a measure of a picture, the default where none was given."""
    good = isinstance(value, int) and not isinstance(value, bool) and value > 0
    return value if good else default
