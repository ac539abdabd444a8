"""Writing and reading through a shape, as the flow does: a Fetch is given its files."""

from __future__ import annotations

import json
from typing import Any

from trunkline.dialects.shape import Fetch, Lora, Reading, Shape, Wish
from trunkline.types.media import Blob, Media

PNG = Blob(b"\x89PNG picture", "image/png")
WAV = Blob(b"RIFF sound", "audio/wav")
LINKED = Blob(url="https://files.example/cat.png")
LORA = Lora("org/lora", "w.safetensors")


def wish(task: str, inputs: Any, model: str = "org/model", **fields: Any) -> Wish:
    return Wish(task, model, inputs, **fields)


def written(shape: Shape, what: Wish) -> dict[str, Any]:
    body = shape.write(what)
    assert body.content_type == "application/json"
    answer = json.loads(body.data)
    assert isinstance(answer, dict)
    return answer


def reading(answer: Any) -> Reading:
    return Reading(json.dumps(answer).encode(), "application/json")


def read(shape: Shape, answer: Any, what: Wish | None = None) -> Any:
    """Read an answer; each file that it names is fetched and holds its own URL."""
    return finished(shape.read(reading(answer), what or wish("any", None)))


def finished(result: Any) -> Any:
    if not isinstance(result, Fetch):
        return result
    return result.build(tuple(Media(url.encode(), url=url) for url in result.urls))


def linked(result: Any) -> Any:
    """Build a result as with `download=False`: every Media has its URL only."""
    assert isinstance(result, Fetch)
    return result.build(tuple(Media(url=url) for url in result.urls))
