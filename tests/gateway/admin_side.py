"""The admin API over its bridge, with a real store: asked as one key or another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from carried import Carried, carried

from trunkline.gateway.admin.app import AdminApp
from trunkline.gateway.admin.parts import AdminParts, ConfigSetting, ReloadReport, ReplicaView
from trunkline.gateway.bridge import serve
from trunkline.gateway.keyring import OPERATOR, issue
from trunkline.gateway.wishes import KeyWish
from trunkline.store.records import Batch, Entry, Key, Role, Spend
from trunkline.store.sqlite import SqliteStore

NOW = 1_795_910_400.0
"""2026-11-29T00:00:00Z."""
CANARY = "canary-of-a-secret-0123456789"

REPLICA = ReplicaView(
    boot="b0075",
    host="here 1",
    started=NOW,
    seen=NOW + 2,
    config="abcdef",
    version="1.2.3",
    state="live",
    trouble=None,
    this=True,
)


class Admin:
    """An admin API and the keys to ask it with."""

    def __init__(self, folder: Path) -> None:
        self.store = SqliteStore(folder / "gateway.db")
        self.store.migrate()
        self.now = NOW
        self.changes = 0
        self.status: Callable[[], dict[str, Any]] = lambda: {"ready": True}
        self.report = ReloadReport(applied=True, changed=("routes.fast",))
        self.bridge = serve(AdminApp(self.parts()))
        self.runner = asyncio.Runner()
        self.secrets: list[str] = []
        self.keys: dict[str, Key] = {}
        for role in ("admin", "viewer", "caller"):
            self.keys[role] = self.issue(name=role, role=role)
        for team in ("red", "blue"):
            self.keys[team] = self.issue(name=team, role="team-admin", team=team)

    def parts(self) -> AdminParts:
        async def reload() -> ReloadReport:
            return self.report

        async def changed() -> None:
            self.changes += 1

        async def status() -> dict[str, Any]:
            return self.status()

        return AdminParts(
            store=self.store,
            reload=reload,
            status=status,
            replicas=lambda: [REPLICA],
            config=lambda: [ConfigSetting("listen.port", 4000, "default")],
            places=list,
            changed=changed,
            clock=lambda: self.now,
        )

    def issue(self, **fields: Any) -> Key:
        """Make a key beside the API."""
        key, secret = issue(self.store, msgspec.convert(fields, KeyWish), OPERATOR, self.now)
        self.secrets.append(secret)
        return key

    def ask(
        self, method: str, target: str, body: Any = None, *, key: Key | str | None = "admin"
    ) -> Carried:
        """Send a request; `key` is one, a role, a team whose admin it is, or None for nobody."""
        sent = (
            body if isinstance(body, bytes) else b"" if body is None else msgspec.json.encode(body)
        )
        known = self.keys[key] if isinstance(key, str) else key
        headers = {b"authorization": b"Bearer " + CANARY.encode(), b"x-odd": CANARY.encode()}
        exchange = Carried(method, target, headers=headers, body=sent, key=known)
        return self.runner.run(carried(self.bridge, exchange))

    def spend(self, entries: list[Entry], spend: list[Spend]) -> None:
        """Put calls into the ledger."""
        self.store.commit(Batch(entries, spend, "journal", len(entries)))

    def close(self) -> None:
        self.runner.run(self.bridge.close())
        self.runner.close()
        self.store.close()


def entry(number: int, key: Key, **more: Any) -> Entry:
    """A call that ended."""
    fields: dict[str, Any] = {
        "id": f"req_{number:04}",
        "boot": "boot_1",
        "key": key.id,
        "owner": key.owner,
        "team": key.team,
        "endpoint": "chat",
        "model": "org/model",
        "stream": False,
        "started": NOW + number,
        "reserved": 5 * 10**9,
        "state": "settled",
        "ended": NOW + number + 1,
        "status": 200,
        "outcome": "ok",
        "cost": 1_500_000_000,
        "charged": 1_500_000_000,
        **more,
    }
    return Entry(**fields)


ROLES: tuple[Role, ...] = ("caller", "viewer", "team-admin", "admin")
