"""Clients of OpenAI's Responses API in front of targets that chat: their requests, their answers."""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.dialects.openai_read import read_completion
from trunkline.dialects.responses_answer import Envelope, answer_body
from trunkline.dialects.responses_server import read_request
from trunkline.dialects.responses_stream import ResponseStream
from trunkline.errors import InvalidResponseError
from trunkline.gateway.asked import Asked
from trunkline.gateway.exchange import Exchange
from trunkline.gateway.refusals import Fault
from trunkline.wire import strict_json


class ResponsesVoice:
    """Writes a chat's answer as a response."""

    def __init__(self, envelope: Envelope) -> None:
        """Answer one request; `envelope` has what the answer repeats of it."""
        self._envelope = envelope
        self._stream = ResponseStream(envelope)

    def whole(self, data: bytes) -> bytes:
        """Write an answer that came whole; raises InvalidResponseError for one that is no chat's."""
        try:
            body = strict_json.decode_sent(data)
        except strict_json.JsonError as error:
            raise InvalidResponseError(f"The answer is not JSON: {error}.") from error
        if not isinstance(body, dict):
            raise InvalidResponseError("The answer is JSON, but no object.")
        return answer_body(self._envelope, read_completion(body))

    def events(self, data: bytes) -> bytes:
        """Write whole events of a chat's stream."""
        return self._stream.feed(data)

    def end(self) -> bytes:
        """Write what ends a stream whose chat has ended well."""
        return self._stream.end()

    def broken(self, fault: Fault, request_id: str) -> bytes:
        """Write an error into a stream that has begun."""
        return self._stream.fail(code_of(fault), fault.message, cause_of(fault, request_id))


def code_of(fault: Fault) -> str:
    """Return the code that a response ends with: the API has a few, and no other."""
    return "rate_limit_exceeded" if fault.status == 429 else "server_error"


def cause_of(fault: Fault, request_id: str) -> dict[str, Any]:
    """Return an error as OpenAI's streams have it, of an answer that is not whole."""
    return {
        "type": fault.kind,
        "code": fault.code,
        "message": fault.message,
        "param": fault.param,
        "request_id": request_id,
        "partial": True,
        **fault.more,
    }


def interpret(exchange: Exchange, asked: Asked) -> Asked:
    """Make a chat of a request for a response; raises RequestError for what a chat cannot express."""
    request = read_request(asked.body)
    mark = exchange.id.removeprefix("req_")
    wall = exchange.connection.edge.wall
    exchange.voice = ResponsesVoice(Envelope(mark, int(wall), request.echo))
    exchange.body = strict_json.encode(request.chat)
    exchange.size = len(exchange.body)
    return msgspec.structs.replace(asked, body=request.chat, changes={})
