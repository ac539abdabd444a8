"""A message that its target makes itself: relayed as it comes, and read on the way."""

from __future__ import annotations

from trunkline.gateway.messages import broken_message
from trunkline.gateway.messages_tap import MessageTap, read_message
from trunkline.gateway.refusals import Fault
from trunkline.gateway.relay import Relay
from trunkline.gateway.tokens import Read
from trunkline.gateway.voices import Untouched

_STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'


class NativeMessages(Relay):
    """Relays one message of a target that speaks Anthropic's Messages API."""

    _end_mark = b""
    _goes_on = False

    def _new_tap(self) -> MessageTap:
        self.exchange.voice = _Own()
        return MessageTap()

    def _deliver_end(self, rest: bytes) -> bool:
        tap = self._tap
        return super()._deliver_end(rest if tap is None or tap.done else rest + _STOP)

    @staticmethod
    def _read_whole(data: bytes) -> Read | None:
        tokens = read_message(data)
        return None if tokens is None else (tokens, False)


class _Own(Untouched):
    """Leaves everything as it is, but for an error of the gateway's in a stream that has begun."""

    def broken(self, fault: Fault, request_id: str) -> bytes:
        return broken_message(fault, request_id)
