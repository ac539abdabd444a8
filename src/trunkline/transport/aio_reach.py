"""Connecting to a host that may have several addresses, side by side, and forgetting none of the sockets.

asyncio can do this itself (`happy_eyeballs_delay`), but loses the socket that has just connected where
the call is cancelled, or its time is up, at that moment.
"""

from __future__ import annotations

import asyncio
import socket
from itertools import chain, zip_longest
from typing import Any

_HEAD_START = 0.25
"""Seconds that an address has before the next one is tried beside it."""
Found = tuple[Any, Any, int, str, Any]
"""An address as getaddrinfo tells it."""


async def reach(host: str, port: int) -> socket.socket:
    """Return a socket that is connected to one of a host's addresses; raises OSError.

    What is not returned is closed, also where the call is cancelled.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return await _Race(loop).run(_in_turns(found))


def _in_turns(found: list[Found]) -> list[Found]:
    """Return addresses with those of the two families in turn, the first one first."""
    first = [one for one in found if one[0] == found[0][0]]
    others = [one for one in found if one[0] != found[0][0]]
    return [one for one in chain(*zip_longest(first, others)) if one is not None]


class _Race:
    """Several attempts, of which the first that connects wins."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._won: socket.socket | None = None
        self._over = False
        self._error: OSError | None = None

    async def run(self, found: list[Found]) -> socket.socket:
        tasks: set[asyncio.Task[None]] = set()
        running: set[asyncio.Task[None]] = set()
        waiting = found[::-1]
        try:
            while (waiting or running) and self._won is None:
                if waiting:
                    task = self._loop.create_task(self._try(waiting.pop()))
                    tasks.add(task)
                    running.add(task)
                start = _HEAD_START if waiting else None
                _, running = await asyncio.wait(
                    running, timeout=start, return_when=asyncio.FIRST_COMPLETED
                )
            won, self._won = self._won, None
            if won is None:
                raise self._error or OSError("The name has no address.")
            return won
        finally:
            self._over = True
            for task in tasks:
                task.cancel()
            if self._won is not None:
                self._won.close()
            self._error = None  # its frames know this race

    async def _try(self, found: Found) -> None:
        """Connect to an address. The socket is closed here, after the loop has let go of it."""
        family, kind, protocol, _, address = found
        sock: socket.socket | None = None
        try:
            sock = socket.socket(family, kind, protocol)
            sock.setblocking(False)
            await self._loop.sock_connect(sock, address)
            if not self._over and self._won is None:
                self._won, sock = sock, None
        except OSError as error:
            self._error = error
        finally:
            if sock is not None:
                sock.close()
