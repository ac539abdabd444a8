"""Trunkline as a row: all its features on, a key with a budget and limits, prices, a fresh store.

It is asked over HTTP and its ledger is read from its file; nothing of the package is imported.
"""

from __future__ import annotations

import http.client
import importlib.metadata
import json
import secrets
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import payloads
from gateways import Gateway, Place, Request, Rows
from processes import CannotRunError

_CONFIG = """
default_upstream = "bench"

[listen]
port = {port}
{listen}

[store]
{store}

[upstreams.bench]
base_url = "{upstream}"
connections = 20000

[upstreams.bench.prices."*"]
input = "{input}"
output = "{output}"
"""
_ADMIN_KEY = f"tl-{secrets.token_urlsafe(32)}"
WISH = {
    "name": "bench",
    "limits": {
        "requests_per_minute": 10**9,
        "tokens_per_minute": 10**12,
        "concurrency": 10**6,
    },
    "budgets": [
        {"amount": "1000000", "period": "day"},
        {"amount": "5000000", "period": "month"},
    ],
}
"""A key for which everything is checked and counted, and that nothing here exhausts."""


KNOWN_SECONDS = 5.0
"""Within which the gateway knows of a key that was made, and of one that was revoked."""


class IssuedKey(NamedTuple):
    """A new key."""

    id: str
    secret: str


def admin(port: int, method: str, path: str, body: object = None) -> Any:
    """Ask the admin API and return its answer, decoded; raise CannotRunError where it refuses."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Authorization": f"Bearer {_ADMIN_KEY}", "Content-Type": "application/json"}
    try:
        data = None if body is None else json.dumps(body)
        connection.request(method, f"/admin/{path}", data, headers)
        response = connection.getresponse()
        text = response.read().decode()
    except (OSError, http.client.HTTPException) as error:
        raise CannotRunError(f"{method} /admin/{path} was not answered: {error!r}") from error
    finally:
        connection.close()
    if response.status >= 300:
        raise CannotRunError(f"{method} /admin/{path} was answered {response.status}: {text[:300]}")
    return json.loads(text) if text else None


def new_key(
    port: int, name: str = "bench", wish: Mapping[str, object] = MappingProxyType(WISH)
) -> IssuedKey:
    """Create a key with budgets and limits, and wait until the gateway knows it."""
    made = admin(port, "POST", "keys", {**wish, "name": name})
    key = IssuedKey(made["key"]["id"], made["secret"])
    until = time.monotonic() + KNOWN_SECONDS
    while _status(port, "/v1/models", key.secret) == 401:
        if time.monotonic() > until:
            raise CannotRunError(f"a new key is not accepted within {KNOWN_SECONDS:.0f} s")
        time.sleep(0.01)
    return key


def revoke_key(port: int, key: IssuedKey) -> None:
    """End a key."""
    admin(port, "POST", f"keys/{key.id}/revoke")


def _status(port: int, path: str, key: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {key}"})
        return connection.getresponse().status
    finally:
        connection.close()


def ledger_rows(place: Place) -> Rows:
    """Count the rows of a gateway that has ended."""
    path = place.folder / "gateway.db"
    with closing(sqlite3.connect(path)) as database:
        count = "SELECT count(*), coalesce(sum(state = 'settled'), 0) FROM ledger"
        return Rows(*database.execute(count).fetchone())


def command(place: Place, *, listen: str = "", store: str | None = None) -> list[str]:
    """Write a configuration and return the command that serves it; `store` is SQLite's unless said."""
    config = place.folder / "trunkline.toml"
    lines = f'path = "{place.folder}/gateway.db"' if store is None else store
    given = {"port": place.port, "upstream": place.upstream_url, "listen": listen, "store": lines}
    config.write_text(_CONFIG.format(**given, **payloads.PRICES))
    config.chmod(0o600)
    program = Path(sys.executable).parent / "trunkline"
    return [str(program), "serve", "--config", str(config)]


def _version(_home: Path) -> str:
    git = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    done = subprocess.run(git, capture_output=True, text=True, check=False)
    return f"{importlib.metadata.version('trunkline')} {done.stdout.strip()}".strip()


TRUNKLINE = Gateway(
    "trunkline",
    command,
    version=_version,
    ready="/health/ready",
    env=lambda _place: {"TRUNKLINE_ADMIN_KEY": _ADMIN_KEY},
    request=lambda place: Request().with_key(new_key(place.port).secret),
    ledger=ledger_rows,
)
