"""Listening sockets: bound, accepted from, and given up so that nobody who has connected is turned away.

A connection is made by the kernel and waits in its socket's queue. To close the socket resets what
waits, so a socket is either handed on, or its queue is emptied first.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import socket
import ssl
import struct
from collections.abc import Callable

BACKLOG = 4096
"""Connections that may wait to be accepted."""
_KERNEL_HOLDS = 128 * 1024
"""Bytes of answers that the kernel may hold for a client that does not read; it doubles the number."""
_GOODBYE = 5.0
"""Seconds that a client has to end its TLS."""
_HALF_OPEN = 0.1
"""Seconds for handshakes that have begun to end, before a socket is closed."""
_ATTACH_FILTER = 26
"""Linux' SO_ATTACH_FILTER, which `socket` does not name."""
_NO_SYN = ((0x30, 0, 0, 13), (0x45, 0, 1, 0x02), (0x06, 0, 0, 0), (0x06, 0, 0, 0xFFFFFFFF))
"""Of TCP's flags the second: segments that begin a connection are dropped, all others pass."""
_log = logging.getLogger(__name__)
Made = Callable[[], asyncio.Protocol]


def bound(host: str, port: int, *, shared: bool = False) -> list[socket.socket]:
    """Return a socket for each address of a host, on one port, not listening yet; raises OSError.

    `shared`, further sockets of this user's may be bound to the same port beside them.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    made: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            taken = made[0].getsockname()[1] if made and not port else address[1]
            made.append(sock := socket.socket(family, kind, protocol))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if shared:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            # those that are accepted have the same
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _KERNEL_HOLDS)
            sock.bind((address[0], taken, *address[2:]))
    except OSError:
        for sock in made:
            sock.close()
        raise
    return made


class Listener:
    """One socket that is accepted from, until it is closed or handed on."""

    def __init__(
        self,
        sock: socket.socket,
        made: Made,
        *,
        tls: ssl.SSLContext | None,
        handshake_seconds: float,
    ) -> None:
        """Accept nothing yet; `made` makes a protocol for each connection."""
        self._socket = sock
        self._made = made
        self._tls = tls
        self._handshake = None if tls is None else handshake_seconds
        self._goodbye = None if tls is None else _GOODBYE
        self._server: asyncio.Server | None = None
        self._begun: set[asyncio.Task[None]] = set()

    async def begin(self) -> None:
        """Listen, and accept whatever connects; raises OSError."""
        self._socket.setblocking(False)
        self._server = await asyncio.get_running_loop().create_server(
            self._made,
            sock=self._socket.dup(),
            ssl=self._tls,
            backlog=BACKLOG,
            ssl_handshake_timeout=self._handshake,
            ssl_shutdown_timeout=self._goodbye,
        )

    def hand_on(self) -> None:
        """Accept no more, and leave what waits to whoever else has the socket."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self._socket.close()

    async def close(self) -> None:
        """Let nobody connect any more, accept whoever has, and close the socket for everybody."""
        server, self._server = self._server, None
        if server is None:
            return
        if _admit_no_more(self._socket):
            await asyncio.sleep(_HALF_OPEN)
        server.close()
        self._accept_the_rest()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # others may have it open, and do not accept
        self._socket.close()
        if self._begun:
            await asyncio.wait(self._begun, timeout=_GOODBYE)

    def _accept_the_rest(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, _ = self._socket.accept()
            except OSError:
                return
            accepted.setblocking(False)
            task = loop.create_task(self._connect(accepted))
            self._begun.add(task)
            task.add_done_callback(self._begun.discard)

    async def _connect(self, accepted: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                self._made,
                accepted,
                ssl=self._tls,
                ssl_handshake_timeout=self._handshake,
                ssl_shutdown_timeout=self._goodbye,
            )
        except OSError:
            accepted.close()  # a client that left, or does not speak TLS


def _admit_no_more(sock: socket.socket) -> bool:
    """Have the kernel drop what would begin a connection: the client tries again a second later.

    Tells whether it does; not every system can.
    """
    code = b"".join(struct.pack("HBBI", *each) for each in _NO_SYN)
    held = ctypes.create_string_buffer(code)
    program = struct.pack("HP", len(_NO_SYN), ctypes.addressof(held))
    try:
        sock.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, program)
    except OSError:
        _log.debug("connections that begin now are not held back")
        return False
    return True
