"""Rounds of asking for leases: all that is wanted at once, seldom, and none while nothing is wanted."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Generic, Protocol, TypeVar

import msgspec

from trunkline.gateway.asker import Timer, Times
from trunkline.gateway.guard import Refusal
from trunkline.gateway.leased import LeasedHolder
from trunkline.store.seam import StoreError

PACE = 0.1
"""Seconds between the beginnings of two rounds."""
LOOK = 0.25
"""Seconds between two looks at what waits and what lies idle, and before what failed is asked again."""


class Waiting(msgspec.Struct, eq=False):
    """A call that waits for leases."""

    holder: LeasedHolder
    amount: int
    tokens: int
    resume: Callable[[], None]
    """Has it held for again, and sent."""
    refuse: Callable[[Refusal], None]
    since: float = 0.0
    money_asked: bool = False
    """Whether a round for money in which it had a part was answered."""
    rates_asked: bool = False
    failed: int = 0


class Hall(Protocol):
    """Where calls wait."""

    closed: bool

    @property
    def parked(self) -> Mapping[Waiting, None]:
        """Those that wait, in the order in which they came."""
        ...

    @property
    def times(self) -> Times:
        """The clock, timers and threads."""
        ...

    def replicas(self) -> int:
        """Return how many processes share."""
        ...

    def look_again(self) -> None:
        """Let the calls go on that can now."""
        ...


class _Lease(Protocol):
    """What can be asked for."""

    @property
    def spare(self) -> bool: ...

    def due(self, now: float) -> bool: ...


L = TypeVar("L", bound=_Lease)
W = TypeVar("W")
A = TypeVar("A")


class Rounds(ABC, Generic[L, W, A]):
    """Rounds of one kind of lease."""

    def __init__(self, hall: Hall) -> None:
        """Nothing is wanted yet."""
        self.count = 0
        """Rounds that were asked."""
        self.trouble: StoreError | None = None
        """Why the last one was not answered."""
        self._hall = hall
        self._wanting: dict[L, None] = {}
        self._spare: dict[L, None] = {}
        """Leases of which something may have to be given back."""
        self._demanded: list[L] = []
        self._began = float("-inf")
        self._timer: Timer | None = None
        self._running = False

    def want(self, lease: L) -> None:
        """Have a lease asked for in the next round."""
        self._wanting[lease] = None
        self.schedule()

    def schedule(self, pause: float = 0.0) -> None:
        """Begin a round soon, not before `pause` is over."""
        if self._timer is None and not self._running and not self._hall.closed:
            wait = max(self._began + PACE - self._hall.times.now(), pause, 0.0)
            self._timer = self._hall.times.later(wait, self._begin)

    def running_for(self, now: float) -> float:
        """Return for how many seconds an answer is waited for; 0 where none is."""
        return now - self._began if self._running else 0.0

    def look(self, now: float) -> bool:
        """Have given back what lies idle; tells whether there may be more later."""
        for lease in list(self._spare):
            if not lease.spare:
                del self._spare[lease]
            elif lease.due(now):
                self.want(lease)
        return bool(self._spare)

    def stop(self) -> None:
        """Begin no more rounds."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _begin(self) -> None:
        self._timer = None
        now = self._began = self._hall.times.now()
        parked = list(self._hall.parked)
        self._demand(parked)
        replicas = self._hall.replicas()
        wanting, self._wanting = list(self._wanting), {}
        wishes = [(lease, wish) for lease in wanting if (wish := self._wish(lease, now, replicas))]
        if not wishes:
            self._hall.look_again()
            return
        self._running = True
        self._ask(wishes, parked, now)

    def _demand(self, parked: Iterable[Waiting]) -> None:
        """Note on each lease what calls that wait need of it."""
        for lease in self._demanded:
            self._clear(lease)
        self._demanded = []
        for waiting in parked:
            for lease in self._add(waiting):
                self._demanded.append(lease)
                self._wanting[lease] = None

    def _over(
        self, wishes: list[tuple[L, W]], parked: list[Waiting], began: float, told: Sequence[A]
    ) -> None:
        """Take the answers, and let calls go on."""
        self._running = False
        now = self._hall.times.now()
        for (lease, wish), answer in zip(wishes, told, strict=True):
            self._take(lease, wish, answer, began, now)
            if lease.spare:
                self._spare[lease] = None
        for waiting in parked:
            self._mark(waiting)
        self._hall.look_again()
        if self._wanting or any(waiting.since >= began for waiting in self._hall.parked):
            self.schedule()

    @abstractmethod
    def _ask(self, wishes: list[tuple[L, W]], parked: list[Waiting], now: float) -> None: ...

    @abstractmethod
    def _wish(self, lease: L, now: float, replicas: int) -> W | None: ...

    @abstractmethod
    def _take(self, lease: L, wish: W, answer: A, began: float, now: float) -> None: ...

    @abstractmethod
    def _add(self, waiting: Waiting) -> Iterable[L]: ...

    @abstractmethod
    def _clear(self, lease: L) -> None: ...

    @abstractmethod
    def _mark(self, waiting: Waiting) -> None: ...
