"""A call below `/hf`: the client's bytes to the router, and the router's to the client, as they come.

Nothing in between is written anew but the URLs of jobs. What the ledger has to know is read beside.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

from trunkline.dialects import failures
from trunkline.errors import APIError, DeadlineExceeded
from trunkline.gateway import quote, verdicts
from trunkline.gateway.call import FREE
from trunkline.gateway.hf_head import answer_lines, with_own_urls
from trunkline.gateway.hf_routes import Counted
from trunkline.gateway.line import Line
from trunkline.gateway.refusals import STOPPING, in_band, of_error, tell
from trunkline.gateway.tap import StreamTap
from trunkline.gateway.tokens import Tokens, read_whole
from trunkline.gateway.upstream import UpstreamConnection
from trunkline.gateway.verdicts import note_head
from trunkline.wire.message import Url

_LARGE = 64 * 1024
"""Bytes of a body that is not joined to its head."""


class Parcel(msgspec.Struct, frozen=True):
    """What is relayed, and what of its answer is looked at."""

    head: bytes
    """The request's, up to where its length would stand."""
    bodied: bool
    provider: str
    root: Url
    """The router's address."""
    poll: bool
    """Whether it only asks after a job, which costs nothing."""
    once: bool
    """Whether it may start what must not be started twice, so that no used connection will do."""
    counted: Counted | None
    """How its answer tells tokens."""
    jobs: str | None
    """What URLs of jobs in its answer begin with on this gateway."""
    public: str
    """Where clients find the gateway; empty where it is where they ask."""


class HfRelay(Line):
    """Relays one answer."""

    _begun = False
    """Whether something of the answer's body has gone to the client."""
    _parts: list[bytes] | None = None
    """What has come of an answer that is looked at before it goes on."""
    _tap: StreamTap | None = None

    def __init__(self, *call: Any, parcel: Parcel) -> None:
        """As Call; `parcel` is what is carried."""
        super().__init__(*call)
        self._parcel = parcel
        self._target = self.plan.targets[0]
        if parcel.counted is None:
            self.desk = msgspec.structs.replace(self.desk, kept=None)  # it may be no text

    def send(self) -> None:
        """Ask the router."""
        target, entry = self._target, self.entry
        entry.upstream, entry.target_model = target.upstream, target.model
        entry.provider = target.provider
        self._connect(fresh=self._parcel.once or self._again)

    def _send_on(self, connection: UpstreamConnection) -> None:
        exchange, parcel = self.exchange, self._parcel
        self._connection = connection
        self._sent = True
        self.entry.attempts += 1
        self.until = exchange.connection.edge.now + self._target.first_byte_seconds
        body = exchange.body
        head = parcel.head + (
            b"content-length: %d\r\n\r\n" % len(body) if parcel.bodied else b"\r\n"
        )
        if not parcel.bodied or len(body) < _LARGE:
            connection.send(self, head + body if parcel.bodied else head)
        else:
            connection.send_large(self, head, body)

    # called by the upstream

    def head(self, status: int, headers: dict[bytes, bytes]) -> None:
        """Take the head of an answer whose body is still coming."""
        self._status = status
        self._headers = named = {name.lower(): value for name, value in headers.items()}
        note_head(self.entry, headers, self._target.pool, self.now())
        self.until = self.exchange.connection.edge.now + self._target.idle_seconds
        kind = named.get(b"content-type", b"").lower()
        streamed = self.entry.stream = kind.startswith(b"text/event-stream")
        if not 200 <= status < 300 or (self._looked_at and kind.startswith(b"application/json")):
            self._parts = []
            return
        if streamed and self._parcel.counted in ("chat", "completions"):
            self._tap = StreamTap()
        if self._connection is not None:
            self._connection.most = math.inf  # none of it stays here, however long it is
        self.exchange.on_flow = self._flow

    @property
    def _looked_at(self) -> bool:
        return self._parcel.counted is not None or self._parcel.jobs is not None

    def piece(self, data: bytes) -> None:
        """Take a piece of the answer."""
        self.until = self.exchange.connection.edge.now + self._target.idle_seconds
        if self._parts is not None:
            self._parts.append(data)
        else:
            self._pass_on(data)

    def ended(self, status: int, headers: dict[bytes, bytes], rest: bytes) -> None:
        """Take the rest of an answer that is whole."""
        if self._status == 0:
            self.head(status, headers)
            if self._parts is None and self._tap is None:
                self._parts = []  # all of it is here: its length can be told
        self._connection = None
        if self.settled:
            return
        if self._parts is not None:
            self._whole(b"".join((*self._parts, rest)))
            return
        if rest:
            self._pass_on(rest)
        self._begin()
        self.exchange.end()
        self._stream_over()

    def broken(self, error: APIError) -> None:
        """Take the end of the connection."""
        if self._broken_off(error):
            self._lost(error)

    def _lost(self, error: APIError) -> None:
        """End a call whose answer will not be whole."""
        if not self._begun:
            self._failed(error)
            return
        self.exchange.abort()  # the client sees that it is not whole
        self._settle_partial(self._status, "truncated", "upstream_truncated")

    # called by the exchange and the edge

    def late(self) -> None:
        """Give up on a silent upstream."""
        error = self._silence()
        self._drop()
        self._lost(error)

    def expired(self, error: DeadlineExceeded) -> None:
        """Give up: whatever comes now is too late."""
        error.sent = not self._hung_up_unsent()
        self._drop()
        if not self._begun:
            self._failed(error)
            return
        fault = of_error(error)
        if self._tap is not None:
            self.exchange.end(in_band(self.exchange, fault))
        else:
            self.exchange.abort()  # the client sees that it is not whole
        self._settle_partial(self._status, "truncated", fault.code)

    def drained(self) -> None:
        """End an answer that the gateway cannot wait for."""
        if self.settled:
            return
        if self._begun:
            self.exchange.abort()
        else:
            tell(self.exchange, STOPPING, keep=False)
        if self._hung_up_unsent():
            self.never_sent()
        elif not self.settled:  # breaking an answer off may have ended the call
            self._settle_partial(self.exchange.status, "failed", STOPPING.code)

    def _flow(self, go_on: bool) -> None:  # noqa: FBT001 - the edge calls it so
        if self._connection is not None:
            self._connection.flow(go_on)
        idle = self.exchange.connection.edge.now + self._target.idle_seconds
        self.until = idle if go_on else float("inf")  # a slow client is the edge's to time

    # answers

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            self.exchange.begin_bytes(self._status, self._lines() or b"", b"")

    def _lines(self) -> bytes | None:
        lines = answer_lines(self._status, self._headers, self._parcel.root, self._parcel.public)
        return None if lines is None else self.lines(lines)

    def _pass_on(self, data: bytes) -> None:
        self._begin()
        self.exchange.send(data)
        if self._tap is not None:
            self._tap.feed(data)
            self.keep(data)

    def _whole(self, data: bytes) -> None:
        """Answer with what came whole, whatever its status; what is ours to hide is not told."""
        status = self._status
        if status in (401, 403):  # the gateway's credential, which is not the client's affair
            self._failed(verdicts.refusal(status, self._headers, data))
            return
        lines = self._lines()
        if lines is None:
            self._failed(verdicts.refusal(status, self._headers, data))
            return
        if status >= 400:
            for secret in self.desk.hide():
                data = data.replace(secret.encode(), b"****")
        elif self._parcel.jobs is not None:
            data = with_own_urls(self._parcel.provider, data, self._parcel.jobs)
        self.exchange.answer_bytes(status, lines, data)
        self.keep(data)
        if status >= 400:
            self._settle_error(verdicts.refusal(status, self._headers, data), "refused", FREE)
        else:
            self._settle_whole(data)

    def _settle_whole(self, data: bytes) -> None:
        counted = self._parcel.counted
        told = Tokens() if counted is None else read_whole(data)
        if told is None:  # it has gone on all the same: what to make of it is the client's affair
            self._settle_error(verdicts.no_answer(data), "failed", self._tariff())
            return
        tokens, estimated = self._tokens_of(told, data) if counted is not None else (told, False)
        self.settle(self._status, "ok", tokens, self._tariff(), estimated=estimated)

    def _settle_error(self, error: APIError, outcome: str, tariff: quote.Tariff) -> None:
        self.desk.attempted(self._target.upstream, type(error).__name__)
        self.settle(self._status, outcome, Tokens(), tariff, code=of_error(error).code)

    def _tokens_of(self, told: Tokens, data: bytes) -> tuple[Tokens, bool]:
        """Return what a whole answer tells of tokens; an estimate where it should and does not."""
        counted = self._parcel.counted
        if told.output is None and counted == "embeddings":
            told.output = 0
        if told.input is not None or told.output:
            return told, False
        output = 0 if counted == "embeddings" else quote.text_tokens(len(data) // 2)
        return Tokens(self._estimated_input(), output), True

    def _stream_over(self) -> None:
        """Settle an answer that went on as it came, and has ended."""
        tap = self._tap
        if tap is None:
            self.settle(self._status, "ok", Tokens(), self._tariff())
            return
        tap.finish()
        tokens, estimated = self._stream_tokens()
        outcome, code = "ok", None
        if tap.failure is not None:
            error = failures.error_for(failures.failure_in_stream(tap.failure))
            outcome, code = "failed", of_error(error).code
        elif not tap.whole:
            outcome, code = "truncated", "upstream_truncated"
        self.settle(self._status, outcome, tokens, self._tariff(), estimated=estimated, code=code)

    def _failed(self, error: APIError) -> None:
        """Say what was wrong with an answer of which nothing has gone on."""
        self.not_answered(error, self._target)
        self._give_up(error)

    # pieces of the above

    def _tariff(self) -> quote.Tariff:
        return FREE if self._parcel.poll else self._target.tariff

    def _stream_tokens(self) -> tuple[Tokens, bool]:
        tap = self._tap
        if tap is None:
            return Tokens(), False
        if tap.tokens.told:
            return tap.tokens, False
        return Tokens(self._estimated_input(), tap.estimated_output), True

    def _settle_partial(self, status: int, outcome: str, code: str | None) -> None:
        """Settle a call that did not end: a stream by what came of it, anything else as unknown."""
        self.desk.attempted(self._target.upstream, outcome)
        tokens, estimated = self._stream_tokens()
        self._drop()
        self.settle(status, outcome, tokens, self._tariff(), estimated=estimated, code=code)
