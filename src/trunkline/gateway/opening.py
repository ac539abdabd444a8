"""What a start opens before anybody can connect: store, what dead processes left, keys, certificate."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from trunkline.errors import ConfigurationError
from trunkline.gateway.access import Reading
from trunkline.gateway.first_admin import first_admin
from trunkline.gateway.journal_files import FolderLock
from trunkline.gateway.recovery import Recovered, recover
from trunkline.store.records import Spend
from trunkline.store.seam import Store, StoreError


class Opened(msgspec.Struct, frozen=True):
    """A store that is this process's to write, and what it has."""

    lock: FolderLock
    admin_secret: str | None
    """Of the admin key that was made, to be shown once."""
    recovered: Recovered
    reading: Reading
    spend: list[Spend]
    """Of the present month."""


def open_store(store: Store, folder: Path, given: str | None, now: float) -> Opened:
    """Take the store and bring it up to date; raises ConfigurationError. Blocking.

    `folder` is the journal's; `given` is the admin secret that the operator chose.
    """
    lock = _lock(folder)
    try:
        store.migrate()
        recovered = recover(store, folder, now)
        month = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-01")
        secret = first_admin(store, now, given)
        return Opened(lock, secret, recovered, Reading(store), store.charged(month))
    except StoreError as error:
        lock.release()
        raise ConfigurationError(str(error)) from error
    except BaseException:
        lock.release()
        raise


def _lock(folder: Path) -> FolderLock:
    try:
        return FolderLock(folder)
    except BlockingIOError as error:
        raise ConfigurationError(
            f"Another gateway uses the store beside {folder}. One process serves a store; end that "
            "one, or give this one another store (store.path or --store)."
        ) from error
    except OSError as error:
        raise ConfigurationError(
            f"The journal's folder {folder} cannot be used ({error.strerror}); let this user write "
            "there, or put the store elsewhere (store.path or --store)."
        ) from error


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
