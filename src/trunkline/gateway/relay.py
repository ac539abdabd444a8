"""A call whose target speaks the client's own dialect: the bytes go through, and are read on the way.

Written in callbacks, for the reason that `upstream` gives. The client's answer begins with the first
whole event, so that what fails before that can still go to the next target, or be told by a status.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from trunkline import errors
from trunkline.dialects import failures
from trunkline.errors import APIError
from trunkline.gateway import mending, quote, verdicts
from trunkline.gateway.hedging import Hedging
from trunkline.gateway.outgoing import body_for
from trunkline.gateway.quote import Tariff
from trunkline.gateway.refusals import STOPPING
from trunkline.gateway.tokens import Tokens
from trunkline.gateway.upstream import UpstreamConnection
from trunkline.gateway.verdicts import header_of, note_head

if TYPE_CHECKING:
    pass

_LARGE = 64 * 1024
"""Bytes of a body that is not joined to its head."""
QUIET_SECONDS = 600.0
"""Between two events that say something, however many comments arrive."""


class Relay(Hedging):
    """Relays one answer."""

    _quiet = float("inf")
    _idle_seconds = 60.0

    def send(self) -> None:
        """Ask the present target."""
        target = self._target = self.plan.targets[self._at]
        if self.course is not None and not self.course.begin(target):
            self.move(self._at + 1, self._go_on, self.no_target)
            return
        entry = self.entry
        entry.upstream, entry.target_model = target.upstream, target.model
        if target.provider is not None or self._at:
            entry.provider = target.provider
        self._connect(fresh=self._again)

    def _send_on(self, connection: UpstreamConnection) -> None:
        target, exchange = self._target, self.exchange
        self._connection = connection
        self._sent = True
        self.entry.attempts += 1
        self.until = exchange.connection.edge.now + target.first_byte_seconds
        if self.course is not None:
            self._set_out(self.course)
        asked, body = self.asked, exchange.body
        if (
            asked.model != target.model
            or asked.changes
            or target.one_limit
            or target.tune is not None
        ):
            body = body_for(target, asked, body)
        if self._cuts is not None:
            body = self._cuts.body(body, served=not target.one_limit)
        if len(body) < _LARGE:
            connection.send(self, b"%b%d\r\n\r\n%b" % (target.head, len(body), body))
        else:
            connection.send_large(self, b"%b%d\r\n\r\n" % (target.head, len(body)), body)

    # called by the upstream

    def head(self, status: int, headers: dict[bytes, bytes]) -> None:
        """Take the head of an answer whose body is still coming."""
        self._status, self._headers = status, headers
        if self._beside is not None and status == 200:
            self._was_sooner()
        note_head(self.entry, headers, self._target.pool, self.now())
        if self.asked.stream and status == 200:
            kind = header_of(headers, b"content-type") or b"text/event-stream"
            if kind[:17].lower() == b"text/event-stream":
                self._idle_seconds = self._target.idle_seconds
                self._tap = self._new_tap()
                if self.course is not None:
                    self._watch(self.course)
                now = self.exchange.connection.edge.now
                self._quiet = min(now + QUIET_SECONDS, self._token_by)
                self.exchange.on_flow = self._flow

    def piece(self, data: bytes) -> None:
        """Take a piece of the answer."""
        tap = self._tap
        now = self.exchange.connection.edge.now
        if tap is None:
            if self._parts is None:
                self._parts = []
            self._parts.append(data)
            self.until = now + self._target.idle_seconds
            return
        events = tap.events
        out = tap.feed(data)
        until = now + self._idle_seconds
        if tap.events != events:
            self._quiet = now + QUIET_SECONDS if events else self._begins(now)
        elif until > self._quiet:
            until = self._quiet
        self.until = until
        if out:
            if self._first or self._rewritten or self.desk.kept is not None:
                self._hand_on(out)
            else:
                self.exchange.send(out)
        if tap.failure is not None:
            self._drop()
            self._stream_failed(tap.failure)
        elif tap.whole and tap.done:
            self._stream_whole(b"")
        elif tap.done:
            self._drop()
            self._cut(verdicts.truncated())

    def _begins(self, now: float) -> float:
        """Take note of the first token; return when the stream has been quiet for too long."""
        if self.course is not None:
            self.course.token()
        return now + QUIET_SECONDS

    def ended(self, status: int, headers: dict[bytes, bytes], rest: bytes) -> None:
        """Take the rest of an answer that is whole."""
        if self._status == 0 and not (self.asked.stream and status == 200):
            self._connection = None
            self._status = status
            if self._beside is not None and status == 200:
                self._was_sooner()
            note_head(self.entry, headers, self._target.pool, self.now())
            if status == 200:
                self._answer(rest)
            else:
                self._headers = headers
                self._whole(rest)
            return
        if self._status == 0:
            self.head(status, headers)
        self._headers = headers  # those that came first are the connection's, for its next answer
        self._connection = None
        tap = self._tap
        if rest:
            self.piece(rest)
        if not self.settled and self._tap is tap:  # else it goes on with the next target
            self._end()

    def _end(self) -> None:
        tap = self._tap
        if tap is None:
            self._whole(b"".join(self._parts or ()))
            return
        rest = tap.finish()
        if tap.failure is not None:
            self._stream_failed(tap.failure)
        elif tap.whole:
            self._stream_whole(rest)
        else:
            if rest:
                self._hand_on(rest)
            self._cut(verdicts.truncated())

    def broken(self, error: APIError) -> None:
        """Take the end of the connection."""
        if not self._broken_off(error):
            return
        tap = self._tap
        if tap is not None and tap.whole:
            self._stream_whole(tap.finish())
        elif tap is not None and not self._first:
            self._cut(verdicts.truncated(error))
        else:
            self._failed(error)

    # called by the exchange and the edge

    def late(self) -> None:
        """Give up on a silent upstream."""
        self._end_late(self._silence(), self._failed)

    def _end_late(self, error: APIError, fail: Callable[[APIError], None]) -> None:
        tap = self._tap
        self._drop()
        if tap is not None and tap.whole:
            self._stream_whole(tap.finish())
        elif tap is not None and not self._first:
            self._cut(error)
        else:
            fail(error)

    def expired(self, error: errors.DeadlineExceeded) -> None:
        """Give up: whatever comes now is too late, and so would the next target be."""
        error.sent = not self._hung_up_unsent()
        self._end_late(error, self._out_of_time)

    def drained(self) -> None:
        """End an answer that the gateway cannot wait for."""
        if self.settled:
            return
        self.tell_stopping()
        if self._hung_up_unsent():
            self.never_sent()
        else:
            self._settle_partial(self.exchange.status, "failed", STOPPING.code)

    def _flow(self, go_on: bool) -> None:  # noqa: FBT001 - the edge calls it so
        if self._connection is not None:
            self._connection.flow(go_on)
        self.until = self._quiet if go_on else float("inf")  # a slow client is the edge's to time

    # answers

    def _whole(self, data: bytes) -> None:
        """Answer with what came, or say what is wrong with it."""
        status = self._status
        if not 200 <= status < 300:
            self._failed(verdicts.refusal(status, self._headers, data))
            return
        if self.asked.stream:
            self._failed(verdicts.not_streamed(data))
            return
        self._answer(data)

    def _answer(self, data: bytes) -> None:
        """Answer with a 200 that came whole, unless it is none."""
        read = self._read_whole(data)
        mended = mending.whole(data) if read is not None and read[1] else data
        if read is None or mended is None:
            self._failed(verdicts.no_answer(data))
            return
        tokens = read[0]
        entry, target = self.entry, self._target
        self._deliver(mended)
        tariff = target.tariff
        if entry.provider is not None or target.tariffs:
            tariff = target.tariff_of(entry.provider)
        if tokens.input is not None and tokens.output is not None:
            self.settle(200, "ok", tokens, tariff)
        else:
            self._settle_uncounted(tokens, tariff, len(data))

    def _settle_uncounted(self, tokens: Tokens, tariff: Tariff, size: int) -> None:
        """Settle an answer of `size` bytes whose tokens the upstream did not tell, or not all."""
        if not tokens.told:
            estimate = Tokens(self._estimated_input(), quote.text_tokens(size // 2))
            self.settle(200, "ok", estimate, tariff, estimated=True)
        elif tokens.output is None and self.entry.endpoint == "embeddings":
            self.settle(200, "ok", Tokens(tokens.input, 0), tariff)
        else:
            self.settle(200, "ok", tokens, tariff)

    def _stream_whole(self, rest: bytes) -> None:
        """End a stream that ended well, with the mark that says so."""
        if self._cuts is not None:
            rest = self._cuts.last(rest)
            if self._cuts.failure is not None:
                self._cut(self._cuts.failure)
                return
        if not self._deliver_end(rest):
            return
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.let_end()
        tokens, estimated = self._stream_tokens()
        self.settle(200, "ok", tokens, self._tariff(), estimated=estimated)

    def _stream_failed(self, data: bytes) -> None:
        """End a stream with the error that its upstream sent in it, or that broke off."""
        tap = self._tap
        error: APIError
        if tap is None or not tap.unreadable:
            error = failures.error_for(failures.failure_in_stream(data))
        elif self._first:
            error = errors.InvalidResponseError("An event of the upstream's stream is not JSON.")
        elif tap.finished:
            self._stream_whole(b"")
            return
        else:
            error = verdicts.truncated()
        if self._first:
            self._failed(error)
        else:
            self._cut(error)

    # pieces of the above

    def _tariff(self) -> Tariff:
        return self._target.tariff_of(self.entry.provider)

    def _stream_tokens(self) -> tuple[Tokens, bool]:
        """Return the upstream's own counts; without them an estimate from what was delivered."""
        tap = self._tap
        if tap is not None and tap.tokens.told:
            return tap.tokens, False
        return Tokens(self._estimated_input(), tap.estimated_output if tap else 0), True

    def _settle_partial(self, status: int, outcome: str, code: str | None) -> None:
        """Settle a call that did not end: a stream by what came of it, anything else as unknown."""
        self.desk.attempted(self._target.upstream, outcome)
        if self._tap is None:
            self._drop()
            self.settle(status, outcome, Tokens(), self._tariff(), code=code)
            return
        tokens, estimated = self._stream_tokens()
        self._drop()
        self.settle(status, outcome, tokens, self._tariff(), estimated=estimated, code=code)
