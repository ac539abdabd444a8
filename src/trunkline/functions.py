"""The one-line face: `completion` and `acompletion`, on a default client."""

from __future__ import annotations

import threading
from typing import Any, Literal, TypeVar, Unpack, overload

from trunkline.client import AsyncClient, Client
from trunkline.errors import InvalidInputError
from trunkline.streams import AsyncStream, Stream
from trunkline.types import Completion, Messages
from trunkline.types.parameters import ChatParameters

T = TypeVar("T")

_lock = threading.Lock()
_client: Client | None = None
_async_client: AsyncClient | None = None


def default_client() -> Client:
    """Return the client behind `completion`, made when it is first needed."""
    global _client  # noqa: PLW0603 - the one default client, replaceable
    if _client is None:
        with _lock:
            _client = _client or Client()
    return _client


def default_async_client() -> AsyncClient:
    """Return the client behind `acompletion`, made when it is first needed."""
    global _async_client  # noqa: PLW0603 - the one default client, replaceable
    if _async_client is None:
        with _lock:
            _async_client = _async_client or AsyncClient()
    return _async_client


def set_default_client(
    client: Client | None = None, async_client: AsyncClient | None = None
) -> None:
    """Replace the default clients; None has a new one made from the environment when needed.

    The ones before are left as they are: close them if they are yours.
    """
    global _client, _async_client
    with _lock:
        _client, _async_client = client, async_client


@overload
def completion(
    model: str,
    messages: Messages,
    *,
    stream: Literal[False] | None = None,
    response_model: None = None,
    **parameters: Unpack[ChatParameters],
) -> Completion: ...
@overload
def completion(
    model: str,
    messages: Messages,
    *,
    stream: Literal[True],
    response_model: None = None,
    **parameters: Unpack[ChatParameters],
) -> Stream: ...
@overload
def completion(
    model: str,
    messages: Messages,
    *,
    stream: bool,
    response_model: None = None,
    **parameters: Unpack[ChatParameters],
) -> Completion | Stream: ...
@overload
def completion(
    model: str,
    messages: Messages,
    *,
    stream: Literal[False] | None = None,
    response_model: type[T],
    repair_rounds: int = 0,
    **parameters: Unpack[ChatParameters],
) -> T: ...
def completion(
    model: str,
    messages: Messages,
    *,
    stream: bool | None = None,
    response_model: Any = None,
    **parameters: Any,
) -> Any:
    """Chat with a model: its whole answer, or with `stream=True` an iterator of chunks.

    `model` is `huggingface/<provider>/<org>/<model>`, `<org>/<model>` (the router decides), any
    name together with `api_base=`, or `sandbox/<anything>` without token or network. Keywords are
    OpenAI's chat parameters and those of CallOptions. With `response_model=T` the answer is a
    validated T. Raises APIError and its subclasses; bad input raises before anything is sent.
    """
    client = default_client()
    if stream:
        _refuse_typed_stream(response_model)
        return client.stream(model, messages, **parameters)
    if response_model is None:
        return client.chat(model, messages, **parameters)
    return client.chat(model, messages, response_model=response_model, **parameters)


@overload
async def acompletion(
    model: str,
    messages: Messages,
    *,
    stream: Literal[False] | None = None,
    response_model: None = None,
    **parameters: Unpack[ChatParameters],
) -> Completion: ...
@overload
async def acompletion(
    model: str,
    messages: Messages,
    *,
    stream: Literal[True],
    response_model: None = None,
    **parameters: Unpack[ChatParameters],
) -> AsyncStream: ...
@overload
async def acompletion(
    model: str,
    messages: Messages,
    *,
    stream: bool,
    response_model: None = None,
    **parameters: Unpack[ChatParameters],
) -> Completion | AsyncStream: ...
@overload
async def acompletion(
    model: str,
    messages: Messages,
    *,
    stream: Literal[False] | None = None,
    response_model: type[T],
    repair_rounds: int = 0,
    **parameters: Unpack[ChatParameters],
) -> T: ...
async def acompletion(
    model: str,
    messages: Messages,
    *,
    stream: bool | None = None,
    response_model: Any = None,
    **parameters: Any,
) -> Any:
    """`completion`, awaited; with `stream=True` it returns an open AsyncStream."""
    client = default_async_client()
    if stream:
        _refuse_typed_stream(response_model)
        return await client.stream(model, messages, **parameters)
    if response_model is None:
        return await client.chat(model, messages, **parameters)
    return await client.chat(model, messages, response_model=response_model, **parameters)


def _refuse_typed_stream(response_model: object) -> None:
    if response_model is not None:
        raise InvalidInputError(
            "stream=True and response_model= do not go together: a part of an object is no object.",
            hint="Leave one of them out.",
        )
