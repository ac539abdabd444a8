"""The methods of both clients for the APIs beside chat, and for text completions, whole or streamed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar, Unpack, overload

from trunkline import drive
from trunkline.calls import Calls, watched
from trunkline.routing.ask import Ask
from trunkline.routing.carry import Flow
from trunkline.streams import AsyncEventStream, EventStream
from trunkline.tasks import text
from trunkline.transport.seam import AsyncTransport, Transport
from trunkline.transport.switch import AsyncSwitch, Switch
from trunkline.wire.message import Url

if TYPE_CHECKING:  # many classes, which chats need none of
    from trunkline.types.answer_parameters import (
        ItemLike,
        MessagesParameters,
        ResponsesParameters,
        TextParameters,
    )
    from trunkline.types.anthropic import AnthropicMessage, MessageEvent
    from trunkline.types.response_events import ResponseEvent
    from trunkline.types.responses import Response
    from trunkline.types.results import TextCompletion

    ResponseStream: TypeAlias = EventStream[ResponseEvent, Response]
    AsyncResponseStream: TypeAlias = AsyncEventStream[ResponseEvent, Response]
    MessageStream: TypeAlias = EventStream[MessageEvent, AnthropicMessage]
    AsyncMessageStream: TypeAlias = AsyncEventStream[MessageEvent, AnthropicMessage]
    TextStream: TypeAlias = EventStream[TextCompletion, TextCompletion]
    AsyncTextStream: TypeAlias = AsyncEventStream[TextCompletion, TextCompletion]

T = TypeVar("T")


class AnswerMethods:
    """Responses, messages and text completions, blocking."""

    _calls: Calls

    def _line(self, url: Url) -> Transport:
        raise NotImplementedError

    def _drive(self, flow: Flow[T]) -> T:
        return drive.run(flow, Switch(self._line), self._calls.renew)

    def _watched(self, ask: Ask[Any], flow: Flow[T]) -> Flow[T]:
        return watched(flow, self._calls.note(ask.journey))

    def _streamed(self, ask: Ask[Any], flow: Flow[Any]) -> EventStream[Any, Any]:
        note = self._calls.note(ask.journey)
        return EventStream(self._drive(watched(flow, note, opens=True)), note)

    @overload
    def responses(
        self,
        model: str,
        input: str | Sequence[ItemLike],
        *,
        stream: Literal[False] | None = None,
        **parameters: Unpack[ResponsesParameters],
    ) -> Response: ...
    @overload
    def responses(
        self,
        model: str,
        input: str | Sequence[ItemLike],
        *,
        stream: Literal[True],
        **parameters: Unpack[ResponsesParameters],
    ) -> ResponseStream: ...
    @overload
    def responses(
        self,
        model: str,
        input: str | Sequence[ItemLike],
        *,
        stream: bool,
        **parameters: Unpack[ResponsesParameters],
    ) -> Response | ResponseStream: ...
    def responses(
        self,
        model: str,
        input: str | Sequence[ItemLike],
        *,
        stream: bool | None = None,
        **parameters: Any,
    ) -> Any:
        """Ask by OpenAI's Responses API: its whole Response, or typed events with `stream=True`.

        `input` is a text or a list of items (messages, outputs of functions, items of an earlier
        answer). Raises APIError; one that came in the middle has what was there in `partial`.
        """
        from trunkline.dialects.response_events import RESPONSES  # loads what chats need none of
        from trunkline.routing.event_flow import answer_flow, answer_stream_flow
        from trunkline.tasks.answers import responses

        ask = responses(self._calls, model, input, **parameters)
        if stream:
            return self._streamed(
                ask, self._calls.flow_of(ask, lambda one: answer_stream_flow(one, RESPONSES))
            )
        return self._drive(
            self._watched(ask, self._calls.flow_of(ask, lambda one: answer_flow(one, RESPONSES)))
        )

    @overload
    def messages(
        self,
        model: str,
        messages: Sequence[ItemLike],
        *,
        stream: Literal[False] | None = None,
        **parameters: Unpack[MessagesParameters],
    ) -> AnthropicMessage: ...
    @overload
    def messages(
        self,
        model: str,
        messages: Sequence[ItemLike],
        *,
        stream: Literal[True],
        **parameters: Unpack[MessagesParameters],
    ) -> MessageStream: ...
    @overload
    def messages(
        self,
        model: str,
        messages: Sequence[ItemLike],
        *,
        stream: bool,
        **parameters: Unpack[MessagesParameters],
    ) -> AnthropicMessage | MessageStream: ...
    def messages(
        self,
        model: str,
        messages: Sequence[ItemLike],
        *,
        stream: bool | None = None,
        **parameters: Any,
    ) -> Any:
        """Ask by Anthropic's Messages API: a whole message, or typed events with `stream=True`.

        `max_tokens` must be given. Raises APIError; one that came in the middle has what was there
        in `partial`.
        """
        from trunkline.dialects.anthropic_events import MESSAGES  # loads what chats need none of
        from trunkline.routing.event_flow import answer_flow, answer_stream_flow
        from trunkline.tasks.answers import messages as asking

        ask = asking(self._calls, model, messages, **parameters)
        if stream:
            return self._streamed(
                ask, self._calls.flow_of(ask, lambda one: answer_stream_flow(one, MESSAGES))
            )
        return self._drive(
            self._watched(ask, self._calls.flow_of(ask, lambda one: answer_flow(one, MESSAGES)))
        )

    @overload
    def text_completion(
        self,
        model: str,
        prompt: str,
        *,
        stream: Literal[False] | None = None,
        **parameters: Unpack[TextParameters],
    ) -> TextCompletion: ...
    @overload
    def text_completion(
        self,
        model: str,
        prompt: str,
        *,
        stream: Literal[True],
        **parameters: Unpack[TextParameters],
    ) -> TextStream: ...
    @overload
    def text_completion(
        self, model: str, prompt: str, *, stream: bool, **parameters: Unpack[TextParameters]
    ) -> TextCompletion | TextStream: ...
    def text_completion(
        self, model: str, prompt: str, *, stream: bool | None = None, **parameters: Any
    ) -> Any:
        """Continue a prompt (/v1/completions, text-generation); `stream=True` brings it in pieces."""
        from trunkline.routing.event_flow import text_stream_flow  # loads what chats need none of

        ask = text.text_completion(self._calls, model, prompt, **parameters)
        seekers = self._calls.seekers
        if stream:
            flow = self._calls.flow_of(ask, lambda one: text_stream_flow(one, seekers))
            return self._streamed(ask, flow)
        return self._drive(self._watched(ask, self._calls.task_flow(ask)))


class AsyncAnswerMethods:
    """Responses, messages and text completions, awaited; a stream that is awaited is open."""

    _calls: Calls

    def _line(self, url: Url) -> AsyncTransport:
        raise NotImplementedError

    async def _drive(self, flow: Flow[T]) -> T:
        return await drive.run_async(flow, AsyncSwitch(self._line), self._calls.renew)

    def _watched(self, ask: Ask[Any], flow: Flow[T]) -> Flow[T]:
        return watched(flow, self._calls.note(ask.journey))

    def _streamed(self, ask: Ask[Any], flow: Flow[Any], empty: Any) -> AsyncEventStream[Any, Any]:
        note = self._calls.note(ask.journey)
        flow = watched(flow, note, opens=True)
        return AsyncEventStream(lambda: self._drive(flow), empty, note)

    @overload
    async def responses(
        self,
        model: str,
        input: str | Sequence[ItemLike],
        *,
        stream: Literal[False] | None = None,
        **parameters: Unpack[ResponsesParameters],
    ) -> Response: ...
    @overload
    async def responses(
        self,
        model: str,
        input: str | Sequence[ItemLike],
        *,
        stream: Literal[True],
        **parameters: Unpack[ResponsesParameters],
    ) -> AsyncResponseStream: ...
    @overload
    async def responses(
        self,
        model: str,
        input: str | Sequence[ItemLike],
        *,
        stream: bool,
        **parameters: Unpack[ResponsesParameters],
    ) -> Response | AsyncResponseStream: ...
    async def responses(
        self,
        model: str,
        input: str | Sequence[ItemLike],
        *,
        stream: bool | None = None,
        **parameters: Any,
    ) -> Any:
        """Ask by OpenAI's Responses API, as Client.responses does."""
        from trunkline.dialects.response_events import RESPONSES  # loads what chats need none of
        from trunkline.routing.event_flow import answer_flow, answer_stream_flow
        from trunkline.tasks.answers import responses

        ask = responses(self._calls, model, input, **parameters)
        if stream:
            empty = RESPONSES.reader().whole()
            return await self._streamed(
                ask, self._calls.flow_of(ask, lambda one: answer_stream_flow(one, RESPONSES)), empty
            )
        return await self._drive(
            self._watched(ask, self._calls.flow_of(ask, lambda one: answer_flow(one, RESPONSES)))
        )

    @overload
    async def messages(
        self,
        model: str,
        messages: Sequence[ItemLike],
        *,
        stream: Literal[False] | None = None,
        **parameters: Unpack[MessagesParameters],
    ) -> AnthropicMessage: ...
    @overload
    async def messages(
        self,
        model: str,
        messages: Sequence[ItemLike],
        *,
        stream: Literal[True],
        **parameters: Unpack[MessagesParameters],
    ) -> AsyncMessageStream: ...
    @overload
    async def messages(
        self,
        model: str,
        messages: Sequence[ItemLike],
        *,
        stream: bool,
        **parameters: Unpack[MessagesParameters],
    ) -> AnthropicMessage | AsyncMessageStream: ...
    async def messages(
        self,
        model: str,
        messages: Sequence[ItemLike],
        *,
        stream: bool | None = None,
        **parameters: Any,
    ) -> Any:
        """Ask by Anthropic's Messages API, as Client.messages does."""
        from trunkline.dialects.anthropic_events import MESSAGES  # loads what chats need none of
        from trunkline.routing.event_flow import answer_flow, answer_stream_flow
        from trunkline.tasks.answers import messages as asking

        ask = asking(self._calls, model, messages, **parameters)
        if stream:
            empty = MESSAGES.reader().whole()
            return await self._streamed(
                ask, self._calls.flow_of(ask, lambda one: answer_stream_flow(one, MESSAGES)), empty
            )
        return await self._drive(
            self._watched(ask, self._calls.flow_of(ask, lambda one: answer_flow(one, MESSAGES)))
        )

    @overload
    async def text_completion(
        self,
        model: str,
        prompt: str,
        *,
        stream: Literal[False] | None = None,
        **parameters: Unpack[TextParameters],
    ) -> TextCompletion: ...
    @overload
    async def text_completion(
        self,
        model: str,
        prompt: str,
        *,
        stream: Literal[True],
        **parameters: Unpack[TextParameters],
    ) -> AsyncTextStream: ...
    @overload
    async def text_completion(
        self, model: str, prompt: str, *, stream: bool, **parameters: Unpack[TextParameters]
    ) -> TextCompletion | AsyncTextStream: ...
    async def text_completion(
        self, model: str, prompt: str, *, stream: bool | None = None, **parameters: Any
    ) -> Any:
        """Continue a prompt (/v1/completions, text-generation); `stream=True` brings it in pieces."""
        from trunkline.routing.event_flow import text_stream_flow  # loads what chats need none of
        from trunkline.types.results import TextCompletion

        ask = text.text_completion(self._calls, model, prompt, **parameters)
        seekers = self._calls.seekers
        if stream:
            flow = self._calls.flow_of(ask, lambda one: text_stream_flow(one, seekers))
            return await self._streamed(ask, flow, TextCompletion([]))
        return await self._drive(self._watched(ask, self._calls.task_flow(ask)))
