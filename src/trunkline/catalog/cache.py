"""The catalog at hand: the router's list, for an hour; where it cannot be had, the next best.

Both faces differ in how they ask only; what is kept and what stands in is decided once.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from trunkline.catalog.entries import Catalog
from trunkline.catalog.fetch import LOOK_UP, afetch_list, fetch_list, router_catalog
from trunkline.catalog.kept import load_file, shipped
from trunkline.errors import APIError
from trunkline.settings import Settings
from trunkline.transport.seam import AsyncTransport, Transport
from trunkline.types import Secret, Timeouts

LIFETIME = 3600.0
"""Seconds for which a list is taken as it is."""
_LOOK_AGAIN = 1.0
"""Seconds before a file is looked at again."""
PAUSE = 60.0
"""Seconds before a router that did not give its list is asked again."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _version(path: Path | None) -> tuple[int, int] | None:
    """Return what differs once a file has been written anew; None where there is none."""
    try:
        told = path.stat() if path is not None else None
    except OSError:
        return None
    return None if told is None else (told.st_mtime_ns, told.st_ino)


def _within(seconds: float) -> Timeouts:
    return Timeouts(connect=min(LOOK_UP.connect, seconds), total=min(LOOK_UP.total, seconds))


class _Kept(msgspec.Struct, frozen=True):
    """A catalog and until when, by the clock, it is used unasked."""

    catalog: Catalog
    until: float


class _Read(msgspec.Struct, frozen=True):
    """What was the newest of file and snapshot: reading it anew for every call would take long."""

    router: str
    version: tuple[int, int] | None
    """What differs once the file is written anew."""
    catalog: Catalog
    until: float
    """When the file is looked at again."""


class Catalogs:
    """The catalog of each router, kept in memory. Usable from any number of threads and loops.

    A list that is too old is asked for again. If that fails, the old one stands in; without one,
    the newer of the file that `trunkline models refresh` wrote and the shipped snapshot. What
    stands in says so: `source`, `as_of`, `trouble`.
    """

    def __init__(
        self,
        file: Path | None = None,
        *,
        lifetime: float = LIFETIME,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        """Know of `file`, where there is one; `clock` and `now` tell the time."""
        self._file = file
        self._lifetime = lifetime
        self._clock = clock
        self._now = now
        self._kept: dict[str, _Kept] = {}
        self._read_from: _Read | None = None

    def read(
        self,
        transport: Transport,
        settings: Settings,
        secret: Secret | None = None,
        seconds: float = LOOK_UP.total,
    ) -> Catalog:
        """Return the catalog of the router that `settings` name; raises nothing of the network.

        `secret` goes along if it is a Hugging Face token; none is needed. `seconds` is how long the
        router is waited for.
        """
        router = settings.router_url
        known = self._fresh(router)
        if known is not None:
            return known
        try:
            return self._keep(router, fetch_list(settings, transport, secret, _within(seconds)))
        except APIError as error:
            return self._instead(router, error)

    async def aread(
        self,
        transport: AsyncTransport,
        settings: Settings,
        secret: Secret | None = None,
        seconds: float = LOOK_UP.total,
    ) -> Catalog:
        """Return the catalog, as `read` does."""
        router = settings.router_url
        known = self._fresh(router)
        if known is not None:
            return known
        try:
            return self._keep(
                router, await afetch_list(settings, transport, secret, _within(seconds))
            )
        except APIError as error:
            return self._instead(router, error)

    def forget(self, settings: Settings) -> None:
        """Ask the router again the next time, whatever is at hand."""
        kept = self._kept.get(settings.router_url)
        if kept is not None:
            self._kept[settings.router_url] = msgspec.structs.replace(kept, until=-math.inf)

    def offline(self, settings: Settings) -> Catalog:
        """Return what is known without asking anybody."""
        router = settings.router_url
        kept = self._kept.get(router)
        return kept.catalog if kept else self._newest(router)

    def _fresh(self, router: str) -> Catalog | None:
        kept = self._kept.get(router)
        return kept.catalog if kept and self._clock() < kept.until else None

    def _keep(self, router: str, data: bytes) -> Catalog:
        catalog = router_catalog(data, router, self._now())
        self._kept[router] = _Kept(catalog, self._clock() + self._lifetime)
        return catalog

    def _instead(self, router: str, error: APIError) -> Catalog:
        kept = self._kept.get(router)
        known = kept.catalog if kept and kept.catalog.source == "router" else self._newest(router)
        troubles = [trouble for trouble in (error.message, known.trouble) if trouble]
        catalog = msgspec.structs.replace(known, trouble=" ".join(dict.fromkeys(troubles)))
        self._kept[router] = _Kept(catalog, self._clock() + min(PAUSE, self._lifetime))
        return catalog

    def _newest(self, router: str) -> Catalog:
        """Return the newer of the file and the snapshot."""
        known, now = self._read_from, self._clock()
        if known is not None and known.router == router and now < known.until:
            return known.catalog
        version = _version(self._file)
        if known is not None and (known.router, known.version) == (router, version):
            catalog = known.catalog
        else:
            catalog = self._newest_of(router)
        self._read_from = _Read(router, version, catalog, now + _LOOK_AGAIN)
        return catalog

    def _newest_of(self, router: str) -> Catalog:
        snapshot = shipped()
        try:
            file = load_file(self._file, router) if self._file else None
        except APIError as error:
            return msgspec.structs.replace(snapshot, trouble=error.message)
        if file is None or file.as_of < snapshot.as_of:
            return snapshot
        return file
