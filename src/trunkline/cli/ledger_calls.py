"""A call's entry in a gateway's ledger: from its store, or asked of the gateway itself."""

from __future__ import annotations

import os
from collections.abc import Iterable
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import click
import msgspec

from trunkline.catalog import get
from trunkline.cli.inert import inert_line
from trunkline.cli.key_store import opened, placed
from trunkline.errors import (
    APIError,
    AuthenticationError,
    ConfigurationError,
    NotFoundError,
    PermissionDeniedError,
)
from trunkline.settings import checked_secret, read_settings
from trunkline.store.records import Entry
from trunkline.store.tries import Try, write_tries
from trunkline.transport.blocking import BlockingTransport
from trunkline.transport.seam import Transport
from trunkline.types import Secret
from trunkline.types.money import picos
from trunkline.wire import strict_json
from trunkline.wire.message import parse_url

KEY = "TRUNKLINE_ADMIN_KEY"
NEWEST = 1000
"""Entries of a ledger that are looked through for an upstream's or a client's id."""
_MONEY = ("reserved", "cost", "charged", "input_price", "output_price")


def in_store(given: str | None, wanted: str | None) -> Entry | None:
    """Return an entry of a store, as given or as configured: the newest where none is wanted."""
    with opened(given) as store:
        if wanted is None:
            return next(iter(store.entries(limit=1)), None)
        return store.entry(wanted) or _called(store.entries(limit=NEWEST), wanted)


def in_configured_file(wanted: str) -> Entry | None:
    """Return an entry of the configured gateway's store where that is a file which is there."""
    try:
        place, _config = placed(None)
        if place.path is None or not place.path.exists():
            return None
        return in_store(None, wanted)
    except (click.ClickException, ConfigurationError):  # nobody asked for that store by its name
        return None


def of_gateway(url: str, wanted: str | None) -> Entry | None:
    """Ask a gateway for an entry, with the key in TRUNKLINE_ADMIN_KEY."""
    key = os.environ.get(KEY, "").strip()
    if not key:
        raise click.ClickException(f"Put a key that may read the ledger into {KEY}.")
    secret = checked_secret(key, f"the environment variable {KEY}")
    transport = BlockingTransport(proxies=read_settings().proxies)
    try:
        return _asked(transport, f"{url.rstrip('/')}/admin/entries", secret, wanted)
    except (AuthenticationError, PermissionDeniedError) as error:
        raise click.ClickException(
            f"The gateway does not take the key in {KEY}: {inert_line(error.message)}"
        ) from error
    except (msgspec.MsgspecError, strict_json.JsonError, KeyError) as error:
        raise click.ClickException(
            f"What answers at {inert_line(url)} is no gateway of Trunkline's, or of another version."
        ) from error
    finally:
        transport.close()


def _asked(transport: Transport, base: str, secret: Secret, wanted: str | None) -> Entry | None:
    def ask(path: str) -> Any:
        return strict_json.decode(get(transport, parse_url(base + path), secret))

    if wanted is None:
        return next(iter(_entries(ask("?limit=1")["data"])), None)
    try:
        return entry_of(ask(f"/{quote(wanted, safe='')}"))
    except (NotFoundError, APIError) as error:
        if error.status != 404:
            raise
    return _called(_entries(ask(f"?limit={NEWEST}")["data"]), wanted)


def _entries(rows: Iterable[Any]) -> list[Entry]:
    return [entry_of(row) for row in rows]


def entry_of(row: dict[str, Any]) -> Entry:
    """Return the entry that the admin API shows as `row`; raises msgspec.ValidationError."""
    known = {name: row[name] for name in Entry.__struct_fields__ if name in row}
    for name in _MONEY:
        if known.get(name) is not None:
            known[name] = picos(Decimal(known[name]))
    named = {"boot": "", **known, **_route_of(known)}
    values = [named.get(f.name, f.default) for f in msgspec.structs.fields(Entry)]
    return msgspec.convert(values, Entry)


def _route_of(row: dict[str, Any]) -> dict[str, str | None]:
    """Return the fields of an entry that it keeps as JSON."""
    tries: list[Try] = []
    for shown in row.get("tries") or ():
        cost = shown.get("cost")
        told = {**shown, "cost": None if cost is None else picos(Decimal(cost))}
        tries.append(msgspec.convert(told, Try))
    report = row.get("route")
    return {
        "tries": write_tries(tries) if tries else None,
        "route": None if report is None else strict_json.encode(report).decode(),
    }


def _called(entries: Iterable[Entry], wanted: str) -> Entry | None:
    """Return the entry to which an upstream or its client gave an id."""
    return next((e for e in entries if wanted in (e.upstream_id, e.client_request_id)), None)
