"""What every task's wire format has in common: a body to write, an answer to read, files to fetch.

A Shape is a row: two pure functions and, for providers that queue, the Job row to follow. It knows
neither addresses nor credentials.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from trunkline.dialects import failures
from trunkline.dialects.jobs import JobForm
from trunkline.errors import APIError, InvalidInputError, InvalidResponseError
from trunkline.types.media import Media
from trunkline.wire import strict_json


class Lora(msgspec.Struct, frozen=True):
    """A LoRA that a provider puts on another model, as the Hub's mapping tells it."""

    repo: str
    """The LoRA's own repository on the Hub."""
    weights: str
    """The file in it: `w.safetensors`; empty where none is told."""
    hub: str = "https://huggingface.co"

    @property
    def url(self) -> str:
        """Where the weights lie."""
        return f"{self.hub}/{self.repo}/resolve/main/{self.weights}"


class Wish(msgspec.Struct, frozen=True):
    """What a shape writes from: a task's inputs and parameters, and the provider's model name."""

    task: str
    model: str
    inputs: Any
    """See `types.TaskCall.inputs`. Every Blob has its content where the shape needs it."""
    parameters: dict[str, Any] = {}
    extra_body: dict[str, Any] = {}
    """Goes into the body last, as it is."""
    lora: Lora | None = None
    download: bool = True
    """Whether files are wanted as bytes; otherwise URLs will do."""


class Body(msgspec.Struct, frozen=True):
    """A request's body and the headers that belong to it."""

    data: bytes
    content_type: str | None = "application/json"
    accept: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


class Reading(msgspec.Struct, frozen=True):
    """A good answer, to be read."""

    body: bytes
    content_type: str = ""
    """The media type alone, lower-case."""
    headers: dict[str, str] = {}

    @property
    def json(self) -> Any:
        """The body decoded, NaN and the like as None; raises InvalidResponseError for no JSON."""
        try:
            return strict_json.decode_sent(self.body)
        except strict_json.JsonError as error:
            raise unreadable(self, f"it is not JSON ({error})") from error


class Fetch(msgspec.Struct, frozen=True):
    """Files to fetch before a result can be made: `build` takes them in the order of `urls`.

    A `data:` URL is decoded on the spot. With `download=False` the Media have their URL only.
    """

    urls: tuple[str, ...]
    build: Callable[[tuple[Media, ...]], Any]


class Shape(msgspec.Struct, frozen=True):
    """How one task is written and read for one kind of server."""

    write: Callable[[Wish], Body]
    """Raises InvalidInputError for what cannot be written."""
    read: Callable[[Reading, Wish], Any]
    """Returns the result (its `receipt` still None), or a Fetch; raises what `unreadable` returns."""
    job: JobForm | None = None
    """For providers that answer with a job: how to follow it. `read` then gets the last answer."""
    takes_urls: bool = False
    """Whether a file may be given by URL; otherwise it is fetched first and its bytes are sent."""


def json_body(body: dict[str, Any], *headers: tuple[str, str], accept: str | None = None) -> Body:
    """Return `body` as JSON; raises InvalidInputError where it cannot be written."""
    try:
        data = strict_json.encode(body)
    except strict_json.JsonError as error:
        halves = "text.encode('utf-8', 'replace').decode() mends half a character."
        raise InvalidInputError(
            f"The request cannot be written as JSON: {error}.",
            hint=halves if "surrogates" in str(error) else None,
        ) from error
    return Body(data, accept=accept or "application/json", headers=headers)


_LONGEST_FAILURE = 64 * 1024
"""Bytes; what is larger is a result of some kind and tells of no failure."""
_SIGNS = (b'"error', b'"detail"', b'"message"')
"""Words without which an answer tells of none, so that it need not be decoded to see."""


def unreadable(reading: Reading, why: str) -> APIError:
    """Return the error for an answer that is not what its task gives: its own, where it tells one."""
    if (told := told_failure(reading)) is not None:
        return told
    return InvalidResponseError(
        f"The answer cannot be read: {why}.",
        body=reading.body[:2000].decode("utf-8", "replace"),
        hint="The server may speak another dialect, or serve the model for another task.",
    )


def told_failure(reading: Reading) -> APIError | None:
    """Return the error that an answer with a good status nevertheless is; None where it is none."""
    if len(reading.body) > _LONGEST_FAILURE:
        return None
    if not any(sign in reading.body for sign in _SIGNS):
        return None
    try:
        told = failures.failure_in_body(strict_json.decode_sent(reading.body))
    except strict_json.JsonError:
        return None
    return None if told is None else failures.error_for(told)
