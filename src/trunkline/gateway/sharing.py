"""How budgets and limits are kept: by this process alone, or by leases where several serve one store."""

from __future__ import annotations

import importlib.util
import logging
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from trunkline.errors import ConfigurationError
from trunkline.gateway.asker import Times
from trunkline.gateway.config import Config, StoreConfig
from trunkline.gateway.gates import UpstreamGates
from trunkline.gateway.guard import Guard
from trunkline.gateway.leased import LeasedGuard
from trunkline.gateway.leases import Leases
from trunkline.gateway.replicas import Replicas
from trunkline.store.records import Replica, Spend
from trunkline.store.seam import Rates, SharedStore, StoreError, StoreValueError

REDIS_PATIENCE = 0.05
"""Seconds that calls wait for Redis, however slow it is."""
STORE_PATIENCE = 0.5
"""The same for limits that the store shares out."""
AHEAD = 0.1
"""Seconds that the clock of calls is ahead of the store's: what is charged to a day to come counts
against today's budget too, what is charged to a day that is over would not."""
_STEADY = 0.05
"""Seconds by which a reading of the store's clock may differ before it is taken over."""
_log = logging.getLogger(__name__)


def is_shared(config: Config) -> bool:
    """Tell whether other processes may serve from the store at the same time."""
    return config.store.url is not None or config.listen.workers > 1


class StoreClock:
    """The time by the store's clock, a little ahead, without asking it."""

    def __init__(self) -> None:
        """Believe this machine's clock until the store was heard."""
        self.offset = AHEAD

    def __call__(self) -> float:
        """Return the seconds since 1970."""
        return time.time() + self.offset

    def skewed(self, seconds: float) -> None:
        """Take note that the store's clock is ahead of this machine's; on any thread."""
        if abs(seconds + AHEAD - self.offset) > _STEADY:
            self.offset = seconds + AHEAD


class Member(Protocol):
    """This process among those on its store."""

    replicas: Replicas
    """Known when it has begun."""
    skewed: Callable[[float], None]

    @property
    def own(self) -> Replica:
        """Its name."""
        ...


class Sharing:
    """The guard of a process, and the leases that it stands on, if it shares."""

    def __init__(
        self,
        config: Config,
        environment: Mapping[str, str],
        store: SharedStore,
        member: Member,
    ) -> None:
        """Ask nobody yet; raises ConfigurationError where Redis' driver is missing."""
        self.guard = Guard()
        self.leases: Leases | None = None
        self.clock: Callable[[], float] = time.time
        self._rates: Rates | None = None
        if is_shared(config):
            self.clock = clock = StoreClock()
            member.skewed = clock.skewed
            self._rates = _redis(config.store, environment)
            self.leases = leases = Leases(
                store,
                member.own.boot,
                lambda: member.replicas.count,
                rates=self._rates,
                patience=STORE_PATIENCE if self._rates is None else REDIS_PATIENCE,
                times=Times(clock),
            )
            self.guard = LeasedGuard(leases.money.want, leases.rates.want)
        elif config.store.redis_url is not None:
            _log.warning("store.redis_url is not used: one process keeps its limits by itself")
        self.gates = UpstreamGates(self.guard)
        self.gates.use(config)

    def load(self, spend: list[Spend]) -> None:
        """Take what was charged before this process began."""
        self.guard.load(spend)

    def begin(self) -> None:
        """See whether Redis answers, so that it is known before a limit is asked for."""
        if self.leases is not None and self._rates is not None:
            self.leases.rates.probe()

    @property
    def note(self) -> str:
        """What is not as it should be, though calls are served; empty where nothing is."""
        leases = self.leases
        if leases is None or leases.rates.trouble is None:
            return ""
        return f"limits are kept by shares: {leases.rates.trouble}"

    def stop(self) -> None:
        """Ask for nothing any more; calls that wait are told that the gateway stops."""
        if self.leases is not None:
            self.leases.close()

    def release(self) -> None:
        """Give back what Redis has granted to calls at the same time; the store does so by itself."""
        if self.leases is None or self._rates is None:
            return
        try:
            self.leases.rates.release()
        except StoreError as error:
            _log.warning("limits were not given back", extra={"reason": str(error)})


def _redis(store: StoreConfig, environment: Mapping[str, str]) -> Rates | None:
    if store.redis_url is None:
        return None
    if importlib.util.find_spec("redis") is None:
        raise ConfigurationError(
            "store.redis_url needs Redis' driver: pip install 'trunkline[redis]'."
        )
    from trunkline.store.redis_rates import RedisRates  # loads the driver

    variable = store.redis_password_env
    password = None if variable is None else environment.get(variable) or None
    try:
        return RedisRates(store.redis_url, password=password)
    except StoreValueError as error:
        raise ConfigurationError(str(error)) from error
