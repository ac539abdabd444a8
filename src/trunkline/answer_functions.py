"""The APIs beside chat as functions, on the default clients: what their methods are, without one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, Unpack, overload

from trunkline.functions import default_async_client, default_client

if TYPE_CHECKING:  # many classes, which chats need none of
    from trunkline.answers import (
        AsyncMessageStream,
        AsyncResponseStream,
        AsyncTextStream,
        MessageStream,
        ResponseStream,
        TextStream,
    )
    from trunkline.types.answer_parameters import (
        ItemLike,
        MessagesParameters,
        ResponsesParameters,
        TextParameters,
    )
    from trunkline.types.anthropic import AnthropicMessage
    from trunkline.types.responses import Response
    from trunkline.types.results import TextCompletion


@overload
def responses(
    model: str,
    input: str | Sequence[ItemLike],
    *,
    stream: Literal[False] | None = None,
    **parameters: Unpack[ResponsesParameters],
) -> Response: ...
@overload
def responses(
    model: str,
    input: str | Sequence[ItemLike],
    *,
    stream: Literal[True],
    **parameters: Unpack[ResponsesParameters],
) -> ResponseStream: ...
@overload
def responses(
    model: str,
    input: str | Sequence[ItemLike],
    *,
    stream: bool,
    **parameters: Unpack[ResponsesParameters],
) -> Response | ResponseStream: ...
def responses(
    model: str,
    input: str | Sequence[ItemLike],
    *,
    stream: bool | None = None,
    **parameters: Any,
) -> Any:
    """Ask by OpenAI's Responses API, as Client.responses does."""
    return default_client().responses(model, input, stream=bool(stream), **parameters)


@overload
async def aresponses(
    model: str,
    input: str | Sequence[ItemLike],
    *,
    stream: Literal[False] | None = None,
    **parameters: Unpack[ResponsesParameters],
) -> Response: ...
@overload
async def aresponses(
    model: str,
    input: str | Sequence[ItemLike],
    *,
    stream: Literal[True],
    **parameters: Unpack[ResponsesParameters],
) -> AsyncResponseStream: ...
@overload
async def aresponses(
    model: str,
    input: str | Sequence[ItemLike],
    *,
    stream: bool,
    **parameters: Unpack[ResponsesParameters],
) -> Response | AsyncResponseStream: ...
async def aresponses(
    model: str,
    input: str | Sequence[ItemLike],
    *,
    stream: bool | None = None,
    **parameters: Any,
) -> Any:
    """`responses`, awaited; with `stream=True` it returns an open AsyncEventStream."""
    return await default_async_client().responses(model, input, stream=bool(stream), **parameters)


@overload
def messages(
    model: str,
    messages: Sequence[ItemLike],
    *,
    stream: Literal[False] | None = None,
    **parameters: Unpack[MessagesParameters],
) -> AnthropicMessage: ...
@overload
def messages(
    model: str,
    messages: Sequence[ItemLike],
    *,
    stream: Literal[True],
    **parameters: Unpack[MessagesParameters],
) -> MessageStream: ...
@overload
def messages(
    model: str,
    messages: Sequence[ItemLike],
    *,
    stream: bool,
    **parameters: Unpack[MessagesParameters],
) -> AnthropicMessage | MessageStream: ...
def messages(
    model: str,
    messages: Sequence[ItemLike],
    *,
    stream: bool | None = None,
    **parameters: Any,
) -> Any:
    """Ask by Anthropic's Messages API, as Client.messages does."""
    return default_client().messages(model, messages, stream=bool(stream), **parameters)


@overload
async def amessages(
    model: str,
    messages: Sequence[ItemLike],
    *,
    stream: Literal[False] | None = None,
    **parameters: Unpack[MessagesParameters],
) -> AnthropicMessage: ...
@overload
async def amessages(
    model: str,
    messages: Sequence[ItemLike],
    *,
    stream: Literal[True],
    **parameters: Unpack[MessagesParameters],
) -> AsyncMessageStream: ...
@overload
async def amessages(
    model: str,
    messages: Sequence[ItemLike],
    *,
    stream: bool,
    **parameters: Unpack[MessagesParameters],
) -> AnthropicMessage | AsyncMessageStream: ...
async def amessages(
    model: str,
    messages: Sequence[ItemLike],
    *,
    stream: bool | None = None,
    **parameters: Any,
) -> Any:
    """`messages`, awaited; with `stream=True` it returns an open AsyncEventStream."""
    return await default_async_client().messages(model, messages, stream=bool(stream), **parameters)


@overload
def text_completion(
    model: str,
    prompt: str,
    *,
    stream: Literal[False] | None = None,
    **parameters: Unpack[TextParameters],
) -> TextCompletion: ...
@overload
def text_completion(
    model: str, prompt: str, *, stream: Literal[True], **parameters: Unpack[TextParameters]
) -> TextStream: ...
@overload
def text_completion(
    model: str, prompt: str, *, stream: bool, **parameters: Unpack[TextParameters]
) -> TextCompletion | TextStream: ...
def text_completion(
    model: str, prompt: str, *, stream: bool | None = None, **parameters: Any
) -> Any:
    """Continue a prompt (/v1/completions, text-generation); `stream=True` brings it in pieces."""
    return default_client().text_completion(model, prompt, stream=bool(stream), **parameters)


@overload
async def atext_completion(
    model: str,
    prompt: str,
    *,
    stream: Literal[False] | None = None,
    **parameters: Unpack[TextParameters],
) -> TextCompletion: ...
@overload
async def atext_completion(
    model: str, prompt: str, *, stream: Literal[True], **parameters: Unpack[TextParameters]
) -> AsyncTextStream: ...
@overload
async def atext_completion(
    model: str, prompt: str, *, stream: bool, **parameters: Unpack[TextParameters]
) -> TextCompletion | AsyncTextStream: ...
async def atext_completion(
    model: str, prompt: str, *, stream: bool | None = None, **parameters: Any
) -> Any:
    """Continue a prompt (/v1/completions, text-generation); `stream=True` brings it in pieces."""
    client = default_async_client()
    return await client.text_completion(model, prompt, stream=bool(stream), **parameters)
