"""The listening sockets of several workers: one a slot, all on one port, held by their supervisor."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable

from trunkline.gateway.config import Listen
from trunkline.gateway.listening import bound


class Sockets:
    """Those of one address, by slot."""

    def __init__(self, listen: Listen) -> None:
        """Bind them, and listen to none; raises OSError where somebody else has the port."""
        for probe in bound(listen.host, listen.port):  # without sharing: others would share too
            probe.close()
        self.listen = listen
        self.by_slot: list[list[socket.socket]] = []
        self.port = listen.port
        self.served: set[int] = set()
        """Slots that had a worker once: the kernel puts connections into their queues."""
        self.grow(listen.workers)

    def grow(self, count: int) -> None:
        """Have sockets for so many slots; raises OSError."""
        while len(self.by_slot) < count:
            made = bound(self.listen.host, self.port, shared=True)
            self.port = made[0].getsockname()[1]
            self.by_slot.append(made)

    def descriptors(self) -> tuple[tuple[int, ...], ...]:
        """Return the sockets' descriptors, by slot."""
        return tuple(tuple(sock.fileno() for sock in slot) for slot in self.by_slot)

    def close(self) -> None:
        """Close them for everybody."""
        for slot in self.by_slot:
            for sock in slot:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)  # workers that drain have it open too
                sock.close()


class Slots:
    """The sockets in use; a change of address brings others."""

    def __init__(self, listen: Listen) -> None:
        """Bind the first; raises OSError."""
        self.current = Sockets(listen)
        self._former: list[Sockets] = []

    @property
    def url(self) -> str:
        """Where clients connect."""
        listen = self.current.listen
        return address(listen, self.current.port)

    def change(self, listen: Listen) -> None:
        """Have what a new configuration needs; raises OSError, and then nothing has changed."""
        before = self.current.listen
        if (before.host, before.port) == (listen.host, listen.port):
            self.current.grow(listen.workers)
            self.current.listen = listen
            return
        new = Sockets(listen)
        self._former.append(self.current)
        self.current = new

    def all(self) -> list[Sockets]:
        """Return those in use and those that workers of before may still use."""
        return [*self._former, self.current]

    def forget(self, used: Iterable[Sockets]) -> None:
        """Close former sockets that no worker uses."""
        using = list(used)
        kept = [sockets for sockets in self._former if any(sockets is each for each in using)]
        for sockets in self._former:
            if sockets not in kept:
                sockets.close()
        self._former = kept

    def close(self) -> None:
        """Close all."""
        self.forget(())
        self.current.close()


def address(listen: Listen, port: int) -> str:
    """Return a URL for people."""
    scheme = "http" if listen.tls_certificate is None else "https"
    host = f"[{listen.host}]" if ":" in listen.host else listen.host
    return f"{scheme}://{host}:{port}"
