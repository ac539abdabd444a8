"""The pages of Anthropic's Messages API: a message is carried as the chat that it stands for."""

from __future__ import annotations

from trunkline.dialects import anthropic_answer, openai_chat
from trunkline.dialects.anthropic_answer import Told, guessed_tokens, message_body
from trunkline.dialects.anthropic_server import MessageRequest, read_request, request_of
from trunkline.dialects.anthropic_stream import MessageWriter
from trunkline.dialects.openai_rules import RequestError, read_object
from trunkline.gateway.dispatch import Dispatch
from trunkline.gateway.exchange import Exchange
from trunkline.gateway.refusals import JSON, Fault
from trunkline.wire import strict_json


class Messages:
    """Takes requests for messages, and for counts of their tokens."""

    def __init__(self, dispatch: Dispatch) -> None:
        """Have calls carried by `dispatch`."""
        self._dispatch = dispatch

    def take(self, exchange: Exchange) -> None:
        """Take a request for a message; it goes on as it came where each target makes messages itself."""
        try:
            body = read_object(exchange.body)
            if self._dispatch.is_native("messages", body.get("model")):
                self._dispatch.take("messages", exchange)
                return
            asked = request_of(body)
        except RequestError as wrong:
            self._dispatch.refuse(exchange, wrong)
            return
        exchange.voice = MessageVoice(asked, exchange.id)
        exchange.body = asked.chat
        exchange.size = len(asked.chat)
        self._dispatch.take("messages", exchange)

    def count(self, exchange: Exchange) -> None:
        """Tell about how many tokens a request has: nobody is asked, so that it is an estimate."""
        try:
            asked = read_request(exchange.body, counting=True)
            self._dispatch.check(exchange, asked.model)
        except RequestError as wrong:
            self._dispatch.refuse(exchange, wrong)
            return
        guess = guessed_tokens(asked.text_bytes, asked.images)
        body = strict_json.encode({"input_tokens": guess, "estimated": True})
        exchange.answer_bytes(200, JSON, body)


class MessageVoice:
    """Writes a chat's answer as a message, whole or in events."""

    def __init__(self, asked: MessageRequest, request_id: str) -> None:
        """Answer `asked`; the message's id is made of the request's."""
        self._told = Told(
            f"msg_{request_id.removeprefix('req_')}",
            asked.model,
            guess=guessed_tokens(asked.text_bytes, asked.images),
            stops=asked.stops,
            hide_thinking=asked.hide_thinking,
        )
        self._writer = MessageWriter(self._told)

    def whole(self, data: bytes) -> bytes:
        """Write an answer that came whole; raises InvalidResponseError for one that is no chat's."""
        return strict_json.encode(message_body(openai_chat.read_answer(data), self._told))

    def events(self, data: bytes) -> bytes:
        """Write whole events of a chat's stream."""
        return self._writer.events(data)

    def end(self) -> bytes:
        """Write what ends the message."""
        return self._writer.end()

    def broken(self, fault: Fault, request_id: str) -> bytes:
        """Write an error into a stream that has begun."""
        return broken_message(fault, request_id)


def broken_message(fault: Fault, request_id: str) -> bytes:
    """Write an error into a stream that has begun."""
    return anthropic_answer.error_event(
        fault.status, fault.message, code=fault.code, request_id=request_id, **fault.more
    )


def error_body(fault: Fault, request_id: str) -> bytes:
    """Write an error as this API has it."""
    return anthropic_answer.error_body(
        fault.status,
        fault.message,
        code=fault.code,
        request_id=request_id,
        param=fault.param,
        **fault.more,
    )
