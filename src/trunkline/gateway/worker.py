"""One of several workers: it obeys its supervisor, and ends when that is gone."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Callable, Coroutine

from trunkline.gateway.control import Accept, Channel, Drain, Hurry, Message, Place, Ready, Reload
from trunkline.gateway.listening import Listener
from trunkline.gateway.server import Gateway

_log = logging.getLogger(__name__)
LOST = 3
"""What a process exits with that was given up by others."""


class Worker:
    """A gateway that listens where, and ends when, it is told."""

    def __init__(self, gateway: Gateway, place: Place) -> None:
        """Obey from `run` on."""
        self._gateway = gateway
        self._place = place
        self._channel = Channel(socket.socket(fileno=place.control))
        self._sockets = [[socket.socket(fileno=n) for n in slot] for slot in place.sockets]
        self._accepting: dict[int, list[Listener]] = {}
        self._ending = asyncio.Event()
        self._handed_on = False
        self._hurried = False
        self._works: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()

    async def run(self, settled: Callable[[], None]) -> int:
        """Open, serve and end; returns what to exit with. `settled` is called before serving."""
        loop = asyncio.get_running_loop()
        started = await self._gateway.open()
        settled()
        loop.add_signal_handler(signal.SIGTERM, self._ending.set)
        loop.add_signal_handler(signal.SIGHUP, lambda: self._begin(self._reload()))
        recovered = started.recovered
        self._channel.send(
            Ready(started.boot, started.admin_secret, recovered.replayed, recovered.unknown)
        )
        loop.add_reader(self._channel.fileno(), self._read)
        ends = {loop.create_task(each.wait()) for each in (self._ending, self._gateway.lost)}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        patience = 0.0 if self._hurried else self._gateway.loaded.config.edge.drain_seconds
        async with self._turn:
            handed_on = self._handed_on or self._gateway.lost.is_set()
            whole = await self._gateway.stop(patience, handed_on=handed_on)
        loop.remove_reader(self._channel.fileno())
        for task in ends:
            task.cancel()
        if not whole:
            _log.warning("what the store did not take waits in the journal")
        return LOST if self._gateway.lost.is_set() else 0

    def _read(self) -> None:
        for message in self._channel.read():
            self._obey(message)
        if self._channel.closed:
            asyncio.get_running_loop().remove_reader(self._channel.fileno())
            if not self._ending.is_set():
                _log.error("the supervisor is gone: this worker ends", extra={"pid": os.getpid()})
            self._ending.set()

    def _obey(self, message: Message) -> None:
        if isinstance(message, Accept):
            self._gateway.expect(message.expected)
            self._begin(self._accept(set(message.slots)))
        elif isinstance(message, Drain):
            self._handed_on = message.handed_on
            self._ending.set()
        elif isinstance(message, Hurry):
            self._hurried = True
            self._gateway.hurry()
        elif isinstance(message, Reload):
            self._begin(self._reload())

    async def _accept(self, slots: set[int]) -> None:
        """Accept from the sockets of these slots, and from no others."""
        async with self._turn:
            if self._ending.is_set():
                return
            for slot in self._accepting.keys() - slots:
                for listener in self._accepting.pop(slot):
                    self._gateway.edge.hand_on(listener)
            for slot in slots - self._accepting.keys():
                self._accepting[slot] = [
                    await self._gateway.edge.accept_from(sock.dup()) for sock in self._sockets[slot]
                ]

    async def _reload(self) -> None:
        await self._gateway.reload()

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._works.add(task)
        task.add_done_callback(self._works.discard)
