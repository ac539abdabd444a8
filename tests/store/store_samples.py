"""Records to put in stores, and the stores that keep the one contract."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trunkline.store.records import Batch, Content, Entry, Key, KeySecret, Replica, Spend
from trunkline.store.seam import SharedStore
from trunkline.store.sqlite import SqliteStore

NOON = 1_795_953_600.0
"""Of DAY."""


class Clock:
    """A store's clock, for all who have it open."""

    def __init__(self, now: float = NOON) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


Open = Callable[[Path, Callable[[], float]], SharedStore]
STORES: dict[str, Open] = {
    "sqlite": lambda folder, clock: SqliteStore(folder / "gateway.db", clock=clock),
    "sqlite, not durable": lambda folder, clock: SqliteStore(
        folder / "gateway.db", durable=False, clock=clock
    ),
}
"""How to open each kind of store; what was opened in one folder is the same store again."""
DAY = "2026-11-29"


def unmeasured() -> dict[str, str]:
    """The environment for a process that will be killed: what it had covered would be half a file."""
    return {name: text for name, text in os.environ.items() if not name.startswith("COVERAGE")}


def a_secret(key: str = "key_a", text: str = "s", **fields: Any) -> KeySecret:
    digest = hashlib.sha256(f"{key} {text}".encode()).digest()
    return KeySecret(digest=digest, key=key, hint="abcd", created=1.5, **fields)


def an_entry(number: int = 1, **fields: Any) -> Entry:
    given: dict[str, Any] = {
        "id": f"req_{number:08}",
        "boot": "boot_1",
        "key": "key_a",
        "owner": None,
        "team": None,
        "endpoint": "chat",
        "model": "org/model",
        "stream": False,
        "started": 1_796_000_000.25 + number,
        "reserved": 10,
    }
    return Entry(**(given | fields))


def ended(number: int = 1, **fields: Any) -> Entry:
    given: dict[str, Any] = {
        "state": "settled",
        "ended": 1_796_000_001.5 + number,
        "status": 200,
        "outcome": "ok",
        "cost": 7,
        "charged": 7,
    }
    return an_entry(number, **(given | fields))


def a_spend(**fields: Any) -> Spend:
    given: dict[str, Any] = {
        "day": DAY,
        "key": "key_a",
        "owner": "",
        "team": "",
        "model": "org/model",
        "provider": "groq",
        "calls": 1,
    }
    return Spend(**(given | fields))


def a_batch(
    position: int, *entries: Entry, spend: tuple[Spend, ...] = (), journal: str = "one"
) -> Batch:
    return Batch(list(entries), list(spend), journal, position)


def a_content(request_id: str = "req_1", **fields: Any) -> Content:
    given: dict[str, Any] = {
        "id": request_id,
        "prompt": "Why?",
        "answer": "So.",
        "kept": 1.0,
        "expires": 10.0,
    }
    return Content(**(given | fields))


def a_key(key_id: str = "key_a", **fields: Any) -> Key:
    return Key(id=key_id, created=1.5, **fields)


def a_replica(boot: str = "boot_1", **fields: Any) -> Replica:
    given: dict[str, Any] = {"host": "here 1", "started": 1.5, "config": "digest"}
    return Replica(boot=boot, **(given | fields))
