"""Several workers under a supervisor, and the little that tests need to tell them apart."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from typing import Any

from crowd import Caller, Said
from running import Gateway


def workers(gateway: Gateway) -> dict[int, int]:
    """Return the process ids of the workers that answer, by their numbers."""
    told = gateway.admin("GET", "/status")["workers"]
    return {one["worker"]: one["pid"] for one in told if one["ready"]}


def wait_for(done: Callable[[], Any], what: str, seconds: float = 30.0) -> Any:
    """Wait until something comes true, and return it."""
    until = time.monotonic() + seconds
    while not (found := done()):
        assert time.monotonic() < until, f"{what} has not come true"
        time.sleep(0.05)
    return found


def all_ready(gateway: Gateway, count: int) -> dict[int, int]:
    """Wait until so many workers serve, and return their process ids."""

    def ready() -> dict[int, int] | None:
        try:
            status, _, _ = gateway.ask("GET", "/health/ready")
            found = workers(gateway) if status == 200 else {}
        except OSError:
            return None
        return found if set(found) == set(range(count)) else None

    found: dict[int, int] = wait_for(ready, f"{count} workers")
    return found


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


class Load:
    """Callers that ask until they are told to end, each with connections as it likes."""

    def __init__(self, port: int, key: str) -> None:
        self.said: list[Said] = []
        self.failed: list[str] = []
        self.asked = 0
        self._port = port
        self._key = key
        self._ending = False
        self._tasks: list[asyncio.Task[None]] = []

    def begin(self, name: str, *, callers: int, fresh: bool, stream: bool) -> None:
        """Have more callers ask; `fresh`, each call has a connection of its own."""
        self._tasks += [
            asyncio.create_task(self._ask(f"{name}{n}", fresh=fresh, stream=stream))
            for n in range(callers)
        ]

    async def end(self) -> None:
        """Let the calls under way end."""
        self._ending = True
        await asyncio.gather(*self._tasks)

    async def _ask(self, name: str, *, fresh: bool, stream: bool) -> None:
        caller = Caller(self._port, self._key)
        number = 0
        while not self._ending:
            number += 1
            self.asked += 1
            try:
                said = await caller.ask(f"{name}-{number}", stream=stream)
            except (OSError, EOFError) as error:
                self.failed.append(f"{name}-{number}: {error!r}")
                continue
            self.said.append(said)
            if not said.done:
                self.failed.append(f"{name}-{number}: {said.status} {said.body[:200]!r}")
            if fresh:
                caller.close()
        caller.close()
