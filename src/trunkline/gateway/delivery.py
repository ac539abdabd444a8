"""The client's side of a relayed call: how answers are read and handed on; what other APIs do otherwise."""

from __future__ import annotations

from trunkline.dialects.openai_server import DONE_EVENT
from trunkline.gateway.line import Line
from trunkline.gateway.refusals import EVENTS, JSON
from trunkline.gateway.tap import StreamTap
from trunkline.gateway.tokens import Read, read_answer


class Delivery(Line):
    """Hands on answers in OpenAI's chat, completions and embeddings as they came."""

    _first = True
    """Whether nothing of a stream has gone to the client."""
    _end_mark = DONE_EVENT
    """What follows the last event of a stream that ended well."""
    _rewritten = False
    """Whether events are written anew before they go on."""

    def _new_tap(self) -> StreamTap:
        return StreamTap(hide_usage=self.asked.hide_usage)

    @staticmethod
    def _read_whole(data: bytes) -> Read | None:
        return read_answer(data)

    def _deliver(self, data: bytes) -> None:
        """Answer with what came whole."""
        self.exchange.answer_ok(self.lines(JSON), data)
        if self.desk.kept is not None:
            self.keep(data)

    def _pass_on(self, data: bytes) -> None:
        exchange = self.exchange
        if self._first:
            self._first = False
            exchange.begin_bytes(200, self.lines(EVENTS), data)
        else:
            exchange.send(data)
        self.keep(data)

    def _deliver_end(self, rest: bytes) -> bool:
        """End a stream with its last events; tells whether it could be told."""
        last = rest + self._end_mark
        if self._first:
            self._pass_on(last)
            self.exchange.end()
        else:
            self.keep(last)
            self.exchange.end(last)
        return True
