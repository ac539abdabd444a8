"""A wish in Hugging Face's form, in the words of our own functions."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from trunkline.tasks import audio, image, text, video
from trunkline.types.media import Blob
from trunkline.types.tasks import TASKS

KEYWORDS = {
    "text-generation": {"max_new_tokens": "max_tokens"},
    "tabular-classification": {"data": "table"},
    "tabular-regression": {"data": "table"},
}
"""Hugging Face's names, and those of our functions where they differ."""


def words(
    task: str, inputs: Any, parameters: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments and keywords by which a task's function is called, files as their bytes.

    What the function has no keyword for goes into the body as Hugging Face has it, under
    `parameters`.
    """
    given = {name: value for name, value in parameters.items() if value is not None}
    first: tuple[Any, ...] = ()
    if isinstance(inputs, dict):
        given |= inputs
    elif task.startswith("image-text-to-"):
        given["image"] = inputs
    else:
        first = (_plain(inputs),)
    if task == "text-to-image" and "width" in given and "height" in given:
        given["size"] = (given.pop("width"), given.pop("height"))
    names = KEYWORDS.get(task, {})
    called = {names.get(name, name): _plain(value) for name, value in given.items()}
    known = inspect.signature(_declared(TASKS[task].function)).parameters
    unknown = {name: called.pop(name) for name in tuple(called) if name not in known}
    return first, {**called, **({"extra_body": {"parameters": unknown}} if unknown else {})}


def _declared(function: str) -> Callable[..., Any]:
    """Return where a function's parameters are declared, for every face of it."""
    found = (getattr(module, function, None) for module in (audio, image, text, video))
    return next(declared for declared in found if declared is not None)


def _plain(value: Any) -> Any:
    return value.content if isinstance(value, Blob) else value
