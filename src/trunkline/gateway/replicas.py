"""The processes that serve from one store: each says every second that it lives, and sees who else does.

A thread of its own does that, as it waits for the store. Who is not seen for long is given up by any
other; who finds itself given up has to end.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable

import msgspec

from trunkline.gateway.config_file import Loaded
from trunkline.gateway.config_problems import dotted
from trunkline.gateway.config_values import leaves
from trunkline.store.records import Replica
from trunkline.store.seam import SharedStore, StoreError, StoreLostError

BEAT_SECONDS = 1.0
SILENT_SECONDS = 5.0
"""Without a beat, after which a process is told to be silent."""
SKEW_SECONDS = 5.0
"""Between two clocks, beyond which the log and the status say so."""
DIFFERENT_SECONDS = 5.0
"""With another configuration than others', after which the log says so."""
_QUICK_SECONDS = 0.5
"""What a beat may take for its time to be compared with a clock."""
_OF_ONE = ("listen.", "store.path", "store.url", "store.journal", "store.password_env")
"""Settings that differ between replicas without being a mistake."""
_log = logging.getLogger(__name__)


def digest_of(loaded: Loaded) -> str:
    """Return a digest of a configuration, by which replicas see whether they have the same."""
    told = {
        name: value
        for where, value in leaves(loaded.config)
        if not (name := dotted(where)).startswith(_OF_ONE)
    }
    return hashlib.sha256(msgspec.json.encode(told, order="sorted")).hexdigest()[:12]


def skew_of(beat: Replica, before: float, after: float) -> float | None:
    """Return how far the store's clock is ahead, by a beat between two times of this process's.

    None where the beat waited, or the clock was set meanwhile: then it tells nothing.
    """
    if not 0 <= after - before <= _QUICK_SECONDS:
        return None
    return beat.seen - (before + after) / 2


class Hooks(msgspec.Struct, frozen=True):
    """What a replica does about what it finds. All are called on its thread."""

    give_up: Callable[[str, float], None]
    """Settle what a process left and forget it; told its boot and the store's time."""
    lost: Callable[[], None]
    """This process was given up."""
    reload: Callable[[], None]
    """All were asked to read their configuration again."""
    skew: Callable[[float], None]
    """Told how far the store's clock is ahead of this process's."""


class Joined(msgspec.Struct, frozen=True):
    """What a process finds when it joins the others on its store."""

    seen: list[Replica]
    """All that serve from it, this process first."""
    reloads: int
    """How often all were asked to read their configuration."""
    skew: float | None
    """How far the store's clock is ahead of this process's; None where that is not known."""


class Replicas:
    """This process among those on its store."""

    def __init__(
        self, store: SharedStore, joined: Joined, hooks: Hooks, *, lost_seconds: float
    ) -> None:
        """Has joined already: others count from then on."""
        self.own = own = joined.seen[0]
        self.seen = joined.seen
        """All that have not left, this one first, as of the last beat."""
        self.at = own.seen
        """The store's time of that."""
        self.skew = 0.0
        """Seconds that the store's clock is ahead of this process's."""
        self.lost = False
        """Whether this process was given up."""
        self._store = store
        self._hooks = hooks
        self._lost_seconds = lost_seconds
        self._reloads = joined.reloads
        self._said = (own.config, own.trouble)
        self._steady = 0.0
        """The store's time since which beats came without a gap: others had the same chance."""
        self.trouble = ""
        """Why the store took no beat, where it did not."""
        self._agreed = self.at
        """The store's time until which all had the same configuration."""
        self._told_apart = False
        self._skewed = False
        self._look_at_clock(joined.skew)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="trunkline-replicas", daemon=True)

    @property
    def count(self) -> int:
        """How many serve, this one too; at least one."""
        return max(sum(not one.lost for one in self.seen), 1)

    @property
    def differs(self) -> bool:
        """Whether not all have the same configuration."""
        return len({one.config for one in self.seen if not one.lost}) > 1

    def begin(self) -> None:
        """Beat from now on."""
        self._thread.start()

    def end(self) -> None:
        """Beat no more."""
        self._ending.set()
        if self._thread.ident is not None:
            self._thread.join(10.0)

    def leave(self) -> None:
        """Forget this process: nothing of it is in flight, and all is committed; raises StoreError."""
        self._store.leave(self.own.boot)

    def say(self, config: str, trouble: str) -> None:
        """Say from the next beat on which configuration is in force, and why not another."""
        self._said = (config, trouble)

    def asked(self, reloads: int) -> None:
        """Take a number of reloads for one that was seen: this process has done what it asks."""
        self._reloads = max(self._reloads, reloads)

    # on the thread

    def _run(self) -> None:
        while not self._ending.wait(BEAT_SECONDS):
            try:
                self._beat()
            except StoreLostError:
                _log.error("this process was given up by others: it ends")
                self.lost = True
                self._hooks.lost()
                return
            except StoreError as error:
                self._steady = 0.0
                if not self.trouble:
                    _log.warning("the store takes no beat", extra={"reason": str(error)})
                self.trouble = str(error)
            except Exception:
                _log.exception("a beat failed")

    def _beat(self) -> None:
        config, trouble = self._said
        before = time.time()
        seen = self._store.beat(self.own.boot, config=config, trouble=trouble)
        self.trouble = ""
        self._look_at_clock(skew_of(seen[0], before, time.time()))
        if not self._steady or seen[0].seen - self.at > SILENT_SECONDS:
            self._steady = seen[0].seen
        self.seen, self.at = seen, seen[0].seen
        self._look_at_others()
        reloads = self._store.reloads()
        if reloads > self._reloads:
            self._reloads = reloads
            self._hooks.reload()

    def _look_at_clock(self, skew: float | None) -> None:
        if skew is None:
            return
        self.skew = skew
        self._hooks.skew(skew)
        skewed = abs(self.skew) > SKEW_SECONDS
        if skewed and not self._skewed:
            _log.warning(
                "the clock differs from the store's", extra={"seconds": round(self.skew, 3)}
            )
        self._skewed = skewed

    def _look_at_others(self) -> None:
        self._look_at_configurations()
        for other in self.seen[1:]:
            silent = self.at - max(other.seen, self._steady)
            if other.lost or silent > self._lost_seconds:
                self._give_up(other)

    def _look_at_configurations(self) -> None:
        """Tell, once, of a difference that is none of those which every reload makes for a moment."""
        if not self.differs:
            self._agreed, self._told_apart = self.at, False
        elif not self._told_apart and self.at - self._agreed > DIFFERENT_SECONDS:
            self._told_apart = True
            told = {one.host: one.config for one in self.seen if not one.lost}
            _log.warning("replicas have different configurations", extra={"replicas": told})

    def _give_up(self, other: Replica) -> None:
        if not self._store.lose(other.boot, self._lost_seconds):
            return  # it lives after all
        extra = {"of": other.boot, "host": other.host, "unseen": round(self.at - other.seen, 1)}
        _log.error("a replica is given up: its open calls are settled as unknown", extra=extra)
        self._hooks.give_up(other.boot, self.at)


def state_of(one: Replica, now: float) -> str:
    """Return in a word how a replica is, by the store's time."""
    if one.lost:
        return "lost"
    return "silent" if now - one.seen > SILENT_SECONDS else "live"
