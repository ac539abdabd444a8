"""A TCP proxy on a thread of its own, with toxics that are put on and taken off while it runs."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import ssl
import struct
import threading
from collections import Counter
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar

from toxics import Ended, Passage, Refuse, Toxic, Way, through

T = TypeVar("T")
_READ = 64 * 1024
_AHEAD = 64
"""Pieces that may be on their way; the sender is held back then."""
_RESET = struct.pack("ii", 1, 0)  # linger on, for no time: closing sends a reset
Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Proxy:
    """Carries connections to `port` of loopback. A context manager.

    What chance decides, `seed` fixes for each connection by its number. With `tls`, clients have to
    speak TLS and the server gets plain bytes: behind another proxy, toxics are on what is encrypted.
    """

    def __init__(self, port: int, *, seed: int = 0, tls: ssl.SSLContext | None = None) -> None:
        """Listen at once."""
        self.accepted = 0
        """Connections so far."""
        self.hits: Counter[str] = Counter()
        """Exchanges that a toxic was on, by its name."""
        self._to = port
        self._seed = seed
        self._tls = tls
        self._toxics: tuple[Toxic, ...] = ()
        self._links: set[Link] = set()
        self._running: set[asyncio.Task[None]] = set()
        self._held = _bound(0)  # keeps the port while nobody listens
        self.port: int = self._held.getsockname()[1]
        self._listening: socket.socket | None = None
        self._ends = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="chaos-proxy")
        self._thread.start()
        self._done(self._listen())

    @property
    def url(self) -> str:
        """The address, as a base URL."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def connections(self) -> int:
        """How many are open now."""
        return len(self._links)

    def put(self, *toxics: Toxic) -> None:
        """Put toxics on, on what comes from now on: also on connections that are open."""
        self._change((*self._toxics, *toxics))

    def take_off(self, *toxics: Toxic) -> None:
        """Take toxics off. What was cut stays cut."""
        self._change(tuple(one for one in self._toxics if one not in toxics))

    @contextmanager
    def poisoned(self, *toxics: Toxic) -> Iterator[Self]:
        """Have toxics on while the block runs."""
        self.put(*toxics)
        try:
            yield self
        finally:
            self.take_off(*toxics)

    def cut(self) -> None:
        """End every connection that is open."""
        self._done(self._cut())

    def close(self) -> None:
        """End it all; harmless when done twice."""
        if self._loop.is_closed():
            return
        self._done(self._end())
        self._held.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # for links

    def chance(self, number: int) -> random.Random:
        """Return the chance of a connection."""
        return random.Random(f"{self._seed}/{number}")

    @property
    def toxics(self) -> tuple[Toxic, ...]:
        """Those that are on."""
        return self._toxics

    # on the thread

    def _done(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    def _change(self, toxics: tuple[Toxic, ...]) -> None:
        self._toxics = toxics
        self._done(self._listen())

    async def _listen(self) -> None:
        """Listen, or stop it, as the toxics say."""
        refuse = any(isinstance(toxic, Refuse) for toxic in self._toxics)
        listening = self._listening
        if listening is not None and (refuse or self._ends):
            self._listening = None
            self._loop.remove_reader(listening)
            listening.close()
        elif listening is None and not refuse:
            listening = self._listening = _bound(self.port)
            listening.setblocking(False)
            listening.listen(1000)
            self._loop.add_reader(listening, self._accept, listening)

    def _accept(self, listening: socket.socket) -> None:
        """Take a connection. What awaits them loses the one that it was taking when it is cancelled."""
        try:
            sock, _ = listening.accept()
        except OSError:
            return  # it has left already
        sock.setblocking(False)
        self.accepted += 1
        task = self._loop.create_task(self._take(sock, self.accepted))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        task.add_done_callback(partial(_close, sock))

    async def _take(self, sock: socket.socket, number: int) -> None:
        try:
            client = await self._streams(sock)
        except OSError:
            return  # it has left, or does not speak TLS
        link = Link(self, client, self._to, number)
        self._links.add(link)
        try:
            await link.carry()
            await link.close()
        finally:
            link.abort()
            self._links.discard(link)

    async def _streams(self, sock: socket.socket) -> Pair:
        reader = asyncio.StreamReader(loop=self._loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=self._loop)
        transport, _ = await self._loop.connect_accepted_socket(
            lambda: protocol, sock, ssl=self._tls
        )
        return reader, asyncio.StreamWriter(transport, protocol, reader, self._loop)

    async def _cut(self) -> None:
        cut = list(self._running)
        for task in cut:
            task.cancel()
        await asyncio.gather(*cut, return_exceptions=True)

    async def _end(self) -> None:
        self._ends = True
        await self._listen()
        await self._cut()
        for _ in range(3):  # closed transports say so in the loop's next turns
            await asyncio.sleep(0)
        await self._loop.shutdown_asyncgens()


class Link:
    """One connection and the one to the server that belongs to it."""

    def __init__(self, proxy: Proxy, client: Pair, port: int, number: int) -> None:
        self._proxy = proxy
        self._client = client
        self._server: Pair | None = None
        self._port = port
        self._chance = proxy.chance(number)
        self._lots: dict[Toxic, bool] = {}
        self._passages = {"up": Passage(self._chance), "down": Passage(self._chance)}

    def hit_by(self, way: Way | None = None) -> tuple[Toxic, ...]:
        """Return the toxics that are on the present exchange; each is drawn for once."""
        found = []
        for toxic in self._proxy.toxics:
            if way is not None and toxic.way != way:
                continue
            if toxic not in self._lots:
                hit = self._lots[toxic] = self._chance.random() < toxic.share
                self._proxy.hits[type(toxic).__name__] += hit
            if self._lots[toxic]:
                found.append(toxic)
        return tuple(found)

    async def carry(self) -> None:
        """Carry until one side ends."""
        try:
            for toxic in self.hit_by():
                toxic.accept()
            self._server = await asyncio.open_connection("127.0.0.1", self._port)
            await self._both(self._server)
        except Ended as ended:
            await self._over(ended)
        except OSError:
            self._reset()  # one side has broken it: so it is broken for the other

    async def _both(self, server: Pair) -> None:
        """Carry both ways at once; the one that ends first ends the other, raising what ended it."""
        up = asyncio.create_task(self._one("up", self._client[0], server[1]))
        down = asyncio.create_task(self._one("down", server[0], self._client[1]))
        try:
            done, _ = await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (up, down):
                task.cancel()
            await asyncio.gather(up, down, return_exceptions=True)
        for task in done:
            task.result()
        if up not in done:
            for toxic in self.hit_by("down"):
                await toxic.part()

    async def _one(
        self, way: Way, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        loop = asyncio.get_running_loop()
        passage = self._passages[way]
        pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_AHEAD)

        async def read() -> None:
            data = b"-"
            while data:
                data = await reader.read(_READ)
                await pieces.put((loop.time(), data))

        async def write(data: bytes) -> None:
            writer.write(data)
            passage.passed += len(data)
            await writer.drain()

        reading = asyncio.create_task(read())
        reading.add_done_callback(partial(_pass_on, pieces=pieces))
        try:
            while True:
                passage.arrived, data = await pieces.get()
                if not data:
                    break
                if way == "up" and self._passages["down"].passed:
                    self._next_exchange()
                await through(self.hit_by(way), passage, data, write)
            if reading.done():
                reading.result()  # raises what broke it
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    def _next_exchange(self) -> None:
        self._lots.clear()
        for passage in self._passages.values():
            passage.passed = 0

    async def _over(self, ended: Ended) -> None:
        if ended.how == "reset":
            self._reset()
        elif ended.how in ("gone", "silence"):
            if ended.how == "gone" and self._server is not None:
                self._server[1].transport.abort()
            with contextlib.suppress(OSError):
                while await self._client[0].read(_READ):
                    pass  # read only to see when the client leaves

    def _reset(self) -> None:
        for _, writer in self._pairs():
            sock = writer.get_extra_info("socket")
            if sock is not None and not writer.transport.is_closing():
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()

    async def close(self) -> None:
        """Close what is left: an orderly end for the client, once it has what was sent."""
        if self._server is not None:
            self._server[1].transport.abort()
        self._client[1].close()
        with contextlib.suppress(OSError):
            await self._client[1].wait_closed()

    def abort(self) -> None:
        """Close both sides at once."""
        for _, writer in self._pairs():
            writer.transport.abort()

    def _pairs(self) -> tuple[Pair, ...]:
        return (self._client,) if self._server is None else (self._client, self._server)


def _pass_on(task: asyncio.Task[None], pieces: asyncio.Queue[tuple[float, bytes]]) -> None:
    """Have whoever waits for pieces see that reading has failed."""
    if not task.cancelled() and task.exception() is not None:
        if pieces.full():
            pieces.get_nowait()  # a broken connection loses what was on its way
        pieces.put_nowait((0.0, b""))


def _close(sock: socket.socket, _: object) -> None:
    sock.close()  # also where its task has not even begun


def _bound(port: int) -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind(("127.0.0.1", port))
    return sock
