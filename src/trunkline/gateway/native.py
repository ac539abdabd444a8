"""A response that its target makes itself: relayed as it comes, and read on the way."""

from __future__ import annotations

from typing import Any

from trunkline.gateway.refusals import Fault
from trunkline.gateway.relay import Relay
from trunkline.gateway.responses_tap import ResponseTap, read_response
from trunkline.gateway.responses_voice import cause_of, code_of
from trunkline.gateway.tokens import Read
from trunkline.gateway.voices import Untouched
from trunkline.wire import strict_json
from trunkline.wire.sse import write_event


class Native(Relay):
    """Relays one response of a target that speaks OpenAI's Responses API."""

    _end_mark = b""
    _goes_on = False

    def _new_tap(self) -> ResponseTap:
        tap = ResponseTap()
        self.exchange.voice = _Own(tap)
        return tap

    @staticmethod
    def _read_whole(data: bytes) -> Read | None:
        tokens = read_response(data)
        return None if tokens is None else (tokens, False)


class _Own(Untouched):
    """Leaves everything as it is, but for an error of the gateway's in a stream that has begun."""

    def __init__(self, tap: ResponseTap) -> None:
        self._tap = tap

    def broken(self, fault: Fault, request_id: str) -> bytes:
        number = self._tap.sequence + 1
        cause = cause_of(fault, request_id)
        named = {name: cause.get(name) for name in ("code", "message", "param")}
        told = _event("error", number, **named, error=cause)
        begun = _object(self._tap.begun)
        if begun is None:
            return told
        error = {"code": code_of(fault), "message": fault.message}
        failed = {**begun, "status": "failed", "error": error}
        return told + _event("response.failed", number + 1, response=failed)


def _event(kind: str, number: int, **fields: Any) -> bytes:
    body = {"type": kind, **fields, "sequence_number": number}
    return write_event(strict_json.encode(body), kind)


def _object(data: bytes) -> dict[str, Any] | None:
    try:
        body = strict_json.decode_sent(data)
    except strict_json.JsonError:
        return None
    return body if isinstance(body, dict) else None
