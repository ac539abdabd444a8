"""What a start opens before anybody can connect: store, what dead processes left, keys, certificate."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from trunkline.errors import ConfigurationError
from trunkline.gateway.access import Reading
from trunkline.gateway.control import Place
from trunkline.gateway.first_admin import first_admin
from trunkline.gateway.journal_files import FolderLock
from trunkline.gateway.journal_folders import take_numbered, take_whole, unused
from trunkline.gateway.recovery import Recovered, bring_in, end, recover
from trunkline.gateway.replicas import Joined, skew_of
from trunkline.gateway.stores import StorePlace
from trunkline.store.records import Replica, Spend
from trunkline.store.seam import SharedStore, StoreConflictError, StoreError

Standing = Literal["alone", "first", "among others"]
"""How a process stands to others on its store: `alone`, it locks all of the journal's folder; `first`,
its supervisor has locked it, and nobody else is there yet; `among others`, who live."""


def standing_of(at: StorePlace, place: Place | None) -> Standing:
    """Return how a process stands to others: a database may have any number of them."""
    if at.url is not None:
        return "among others"
    if place is None:
        return "alone"
    return "first" if place.sole else "among others"


class Opened(msgspec.Struct, frozen=True):
    """A store that is this process's to write, and what it has."""

    lock: FolderLock
    folder: Path
    """Where this process's journal goes."""
    admin_secret: str | None
    """Of the admin key that was made, to be shown once."""
    recovered: Recovered
    reading: Reading
    spend: list[Spend]
    """Of the present month."""
    joined: Joined


def open_store(
    store: SharedStore,
    folder: Path,
    replica: Replica,
    given: str | None,
    *,
    standing: Standing,
    clock: Callable[[], float],
) -> Opened:
    """Take the store, bring it up to date and join it; raises ConfigurationError. Blocking.

    `folder` is the journal's; `given` is the admin secret that the operator chose.
    """
    if standing == "alone":
        lock, own = take_whole(folder), folder
    else:
        lock, own = take_numbered(folder)
    try:
        store.migrate()
        if standing == "among others":
            recovered = _bring_in(store, folder, own, clock())
        else:
            recovered = _recover_all(store, folder, own, clock())
        joined = _join(store, replica, clock, alone=standing != "among others")
        now = clock() + (joined.skew or 0.0)
        month = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-01")
        secret = _first_admin(store, now, given)
        spend = store.charged(month)
        return Opened(lock, own, secret, recovered, Reading(store), spend, joined)
    except StoreError as error:
        lock.release()
        raise ConfigurationError(str(error)) from error
    except BaseException:
        lock.release()
        raise


def _join(
    store: SharedStore, replica: Replica, clock: Callable[[], float], *, alone: bool
) -> Joined:
    """Join, and end the others where nobody else can be."""
    store.join(replica)
    reloads = store.reloads()
    before = time.time()
    itself, *others = store.beat(replica.boot)
    skew = skew_of(itself, before, time.time())
    if alone:
        for other in others:
            end(store, other.boot, clock())
        others = []
    return Joined([itself, *others], reloads, skew)


def _first_admin(store: SharedStore, now: float, given: str | None) -> str | None:
    try:
        return first_admin(store, now, given)
    except StoreConflictError:
        return first_admin(store, now, given)  # another process has made it just now


def _bring_in(store: SharedStore, folder: Path, own: Path, now: float) -> Recovered:
    """Bring in what is left in this process's folder, and in those that nobody has."""
    recovered = bring_in(store, own, now)
    for path in unused(folder, itself=True):
        recovered += bring_in(store, path, now)
    return recovered


def _recover_all(store: SharedStore, folder: Path, own: Path, now: float) -> Recovered:
    """Bring in whatever there is, and settle all that is open: nobody else is there."""
    recovered = Recovered()
    for path in {folder, own}:
        recovered += bring_in(store, path, now)
    for path in unused(folder, itself=False):
        recovered += bring_in(store, path, now)
    return recovered + recover(store, own, now)


def tls_context(certificate: str | None, key: str | None) -> ssl.SSLContext | None:
    """Return how the listening side encrypts; raises ConfigurationError."""
    if certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"listen.tls_certificate and listen.tls_key cannot be used: {error}."
        ) from error
    return context
