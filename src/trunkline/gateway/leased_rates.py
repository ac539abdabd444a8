"""What this process may do in the present minute of limits that it shares with others: its lease.

Pure state of the event loop's thread: `leases` asks by `wish`, and hands the answer to `take`. Minutes
are those of whoever shares the limits out; here they are known by the seconds that are left.
"""

from __future__ import annotations

from collections.abc import Callable

from trunkline.gateway.guard import LATER, Meter, Refusal
from trunkline.store.records import Limits, RateLease, RateWish

IDLE = 1.0
"""Seconds after which what nobody uses here is given back."""
SLOT_IDLE = 0.3
"""The same of a slot, which is not gone with the minute."""
PATIENCE = 0.75
"""Seconds that a call waits for a slot which another process may give back."""
SLOT_SECONDS = 30.0
"""Slots of a process that has not asked for so long are nobody's again."""
_REFRESH = SLOT_SECONDS / 3
_FRESH = 0.25
"""Seconds for which an answer is believed that others may change by giving back."""
_NEVER = 1 << 62
"""More than anybody uses."""
_AGAIN = 1.0
"""Seconds after which more is asked for though a share is used up: others may answer again."""
_SOON = 1.0
_LONG = 4.0
"""A slice that is used up sooner than the first is too small, one that lasts the second too large."""


class Part:
    """This process's part of one limit of a minute, of requests or of tokens."""

    __slots__ = ("granted", "grown_at", "left", "mark", "parked", "slice", "used")

    def __init__(self) -> None:
        """Begin with nothing."""
        self.granted = 0
        self.used = 0
        self.mark = _NEVER
        """What may be used before more is wanted: half of the slice, if there is more to be had."""
        self.left: int | None = None
        """What is left for anybody, as far as known."""
        self.parked = 0
        """What calls that wait need; set when a round begins."""
        self.slice = 0
        self.grown_at = float("-inf")

    @property
    def spare(self) -> int:
        """What is granted and not used."""
        return max(self.granted - self.used, 0)

    def turn(self) -> None:
        """Begin another minute."""
        self.granted = self.used = 0
        self.left = None
        self.mark = _NEVER

    def wish(self, most: int, now: float, replicas: int) -> int:
        """Return how much more to ask for: what is needed, and a slice of what is plentiful."""
        need = self.used + self.parked - self.granted
        slice_ = min(self._slice(now, need), self._share(most, replicas))
        if need <= 0 and self.spare - self.parked >= (slice_ + 1) // 2:
            return 0
        return max(need + slice_, 0)

    def excess(self, most: int, replicas: int) -> int:
        """Return how much is granted beyond a fair share, and may be given back."""
        return max(self.spare - self.parked - max(self.slice, self._share(most, replicas)), 0)

    def give_back(self, amount: int) -> int:
        """Give back what is not used; returns the wish for it."""
        self.granted -= amount
        self.mark -= amount
        return -amount

    def take(self, granted: int, left: int | None, now: float) -> None:
        """Take what was granted of a wish, or given back."""
        if granted > 0:
            self.grown_at = now
        self.granted += max(granted, 0)  # what is given back is gone when it is asked for
        self.left = left
        more = left != 0 and self.slice > 0
        self.mark = self.granted - (self.slice + 1) // 2 if more else _NEVER

    def _slice(self, now: float, need: int) -> int:
        lasted = now - self.grown_at
        if (need > 0 or self.used > self.mark) and lasted < _SOON:
            self.slice *= 2
        elif lasted > _LONG:
            self.slice //= 2
        self.slice = max(self.slice, self.parked)
        return self.slice

    def _share(self, most: int, replicas: int) -> int:
        left = most if self.left is None else self.left
        return max(left - self.parked, 0) // (2 * max(replicas, 1))


class LeasedMeter(Meter):
    """One scope's rates, of which this process has a lease."""

    __slots__ = (
        "answered_at",
        "by_share",
        "minute",
        "parked",
        "peak",
        "requests",
        "scarce",
        "slots",
        "text",
        "used_at",
        "wanting",
    )

    def __init__(
        self, limits: Limits, scope: str, whose: str, wanting: Callable[[LeasedMeter], None]
    ) -> None:
        """Begin with nothing; `wanting` is told that a lease is wanted soon."""
        super().__init__(limits, scope, whose)
        self.wanting = wanting
        self.requests = Part()
        self.text = Part()
        """Tokens."""
        self.slots = 0
        """Calls at the same time that are allowed here."""
        self.parked = 0
        """Calls that wait; set when a round begins."""
        self.peak = 0
        """The most calls at the same time since it was last looked at."""
        self.scarce = False
        """Whether slots were asked for that were not to be had."""
        self.by_share = False
        """Whether the last answer was this process's share, and not what is left for all."""
        self.minute = -1
        self.used_at = 0.0
        self.answered_at = float("-inf")

    def change(self, limits: Limits) -> None:
        """Keep to other limits; what was granted under the last ones and not used is not used any more."""
        self.use(limits)
        for part in (self.requests, self.text):
            part.granted, part.left = min(part.granted, part.used), None
        self.slots = min(self.slots, self.inflight)

    def free(self, tokens: int, now: float) -> bool:
        """Tell whether another call of so many tokens may be sent, by what was granted: the usual way."""
        limits, requests, text = self.limits, self.requests, self.text
        return (
            now < self.until
            and (limits.concurrency is None or self.inflight < self.slots)
            and (limits.requests_per_minute is None or requests.used < requests.granted)
            and (limits.tokens_per_minute is None or text.used + tokens <= text.granted)
        )

    def refusal(self, tokens: int, now: float) -> Refusal | None:
        """Return why another call of so many tokens may not be sent now; LATER for want of a lease."""
        limits = self.limits
        if now >= self.until:
            self._turn()
        later = limits.concurrency is not None and self.inflight >= self.slots
        if limits.requests_per_minute is not None and self.requests.spare < 1:
            if self.requests.left == 0 and (not self.by_share or now - self.answered_at < _AGAIN):
                return self._no_requests(now)
            later = True
        most = limits.tokens_per_minute
        if most is not None and tokens > self.text.spare:
            if tokens > most:
                return self._too_many(tokens, most)
            if now - self.answered_at < _FRESH and self._no_tokens_left(tokens):
                return self._no("tokens", most, "tokens a minute", self.until - now)
            later = True
        return LATER if later else None

    def verdict(self, tokens: int, waited: float, now: float) -> Refusal | None:
        """Return why a call is refused that was asked for; None where it waits longer."""
        limits = self.limits
        if now >= self.until and self.minute >= 0:
            return None
        most = limits.concurrency
        if most is not None and self.inflight >= self.slots and self.scarce:
            if self.slots < most and waited < PATIENCE:
                return None  # others have some, and perhaps for nothing
            return self._no("concurrency", most, "calls at the same time", 1.0)
        if limits.requests_per_minute is not None and self.requests.spare < 1:
            return self._no_requests(now) if self.requests.left == 0 else None
        most = limits.tokens_per_minute
        if most is not None and tokens > self.text.spare and self._no_tokens_left(tokens):
            return self._no("tokens", most, "tokens a minute", self.until - now)
        return None

    def hold(self, tokens: int, now: float) -> None:
        """Take a call's part of what was granted."""
        requests, text = self.requests, self.text
        requests.used += 1
        text.used += tokens
        self.inflight += 1
        self.peak = max(self.peak, self.inflight)
        self.used_at = now
        if requests.used > requests.mark or text.used > text.mark:
            self.wanting(self)

    def settle(self, tokens: int, used: int | None) -> None:
        """Give a call's slot back, and take what it used in truth in place of what was likely."""
        self.inflight -= 1
        if used is not None:
            self.text.used = max(self.text.used + used - tokens, 0)
        if self.scarce:
            self.wanting(self)

    @property
    def spare(self) -> bool:
        """Whether something was granted that has to be kept alive, or may be given back."""
        return self.slots > 0 or (self.minute >= 0 and self._spare_rate)

    def due(self, now: float) -> bool:
        """Tell whether something is to be given back, or slots are to be kept. Looks once a while."""
        peak, self.peak = self.peak, self.inflight
        if now >= self.until:
            self._turn()
        idle = now - self.used_at
        return (
            (idle >= IDLE and self._spare_rate and not self.by_share)
            or (idle >= SLOT_IDLE and self.slots > self.inflight)
            or self.slots > 2 * peak + 1
            or self._fading(now)
        )

    def wish(self, now: float, replicas: int) -> RateWish | None:
        """Return what to ask for, None for nothing; what is given back is gone at once."""
        limits = self.limits
        if now >= self.until:
            self._turn()
        idle = 0.0 if self.parked else now - self.used_at
        calls, tokens = self._minutes(now, replicas, idle=idle >= IDLE)
        slots = self._slots(replicas, idle=idle >= SLOT_IDLE)
        # Slots taken or left by share are told, lest others wait for one that nobody uses.
        told = not (self.by_share and limits.concurrency is not None)
        if told and not (calls or tokens or slots != self.slots or self._fading(now)):
            return None
        self.slots = min(self.slots, slots)
        return RateWish(self.scope, self.whose, limits, calls, tokens, slots)

    def take(
        self,
        wish: RateWish,
        lease: RateLease,
        asked_at: float,
        now: float,
        *,
        by_share: bool = False,
    ) -> None:
        """Take the answer to a wish that was made at `asked_at`."""
        self.by_share = by_share
        if lease.minute != self.minute:
            self._turn()
            self.minute = lease.minute
        self.until = asked_at + lease.minute_left  # rather too soon than too late
        self.requests.take(lease.calls, lease.calls_left, now)
        self.text.take(lease.tokens, lease.tokens_left, now)
        self.scarce = lease.slots < wish.slots
        self.slots = lease.slots
        self.answered_at = now

    def remaining(self) -> tuple[int, int]:
        """Return the requests and the tokens that are left for anybody, as far as known."""
        limits = self.limits
        return (
            _remaining(self.requests, limits.requests_per_minute),
            _remaining(self.text, limits.tokens_per_minute),
        )

    @property
    def _spare_rate(self) -> bool:
        limits = self.limits
        return (limits.requests_per_minute is not None and self.requests.spare > 0) or (
            limits.tokens_per_minute is not None and self.text.spare > 0
        )

    def _turn(self) -> None:
        """End a minute."""
        self.minute = -1
        self.requests.turn()
        self.text.turn()

    def _minutes(self, now: float, replicas: int, *, idle: bool) -> tuple[int, int]:
        """Return how many requests and tokens to ask for, or, below zero, to give back."""
        limits = self.limits
        wishes = [0, 0]
        # Close to its end a minute is left alone: what is given back could reach the next one. Nor is
        # a share given back to those who did not grant it, and would grant as much to others.
        giving = self.minute >= 0 and self.until - now > _SOON and not self.by_share
        for at, (part, most) in enumerate(
            ((self.requests, limits.requests_per_minute), (self.text, limits.tokens_per_minute))
        ):
            if most is None:
                continue
            wished = 0 if idle else part.wish(most, now, replicas)
            if not wished and giving:
                wished = part.give_back(part.spare if idle else part.excess(most, replicas))
            wishes[at] = wished
        return wishes[0], wishes[1]

    def _slots(self, replicas: int, *, idle: bool) -> int:
        most = self.limits.concurrency
        if most is None:
            return 0
        if idle or self.scarce:
            return self.inflight + self.parked
        needed = max(self.inflight, self.peak) + self.parked
        if needed <= self.slots <= 2 * needed + 1:
            return self.slots
        return needed + min(most // (4 * max(replicas, 1)), needed)

    def _fading(self, now: float) -> bool:
        """Tell whether slots have to be asked for again lest they are nobody's."""
        return self.slots > 0 and now - self.answered_at >= _REFRESH

    def _no_tokens_left(self, tokens: int) -> bool:
        left = self.text.left
        return left is not None and self.text.spare + left < tokens

    def _no_requests(self, now: float) -> Refusal:
        most = self.limits.requests_per_minute or 0
        return self._no("requests", most, "requests a minute", self.until - now)


def _remaining(part: Part, most: int | None) -> int:
    if most is None:
        return 0
    if part.left is None:
        return most
    left = part.left + part.granted - part.used
    return max(0, left)
