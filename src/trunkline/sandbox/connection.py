"""One connection to the sandbox's server: requests read, replies played, one after the other."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from typing import TYPE_CHECKING, cast

import msgspec

from trunkline.dialects.openai_server import error_body
from trunkline.sandbox.reply import Cut, Pause, Reply, Reset, json_reply, wire_steps, with_headers
from trunkline.wire.http1_read import HttpError, HttpLimits, RequestHead, RequestReader

if TYPE_CHECKING:
    from trunkline.sandbox.app import Sandbox
    from trunkline.sandbox.seen import Log, Seen

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_BREAK = struct.pack("ii", 1, 0)  # linger on, for no time: closing sends a reset


class Limits(msgspec.Struct, frozen=True):
    """What the server takes from a client, in bytes and seconds."""

    http: HttpLimits = HttpLimits()
    head: float = 10.0
    """From a request's first byte to the end of its head."""
    body: float = 60.0
    """From there to the end of its body."""
    idle: float = 75.0
    """Without a request."""
    ahead: int = 64 * 1024
    """Bytes that a client may send before its last answer is complete."""


class Connection(asyncio.Protocol):
    """Reads a request, plays the reply, and begins again."""

    def __init__(
        self, sandbox: Sandbox, log: Log, limits: Limits, group: set[Connection], number: int
    ) -> None:
        """Belongs to `group` while it is open."""
        self._sandbox = sandbox
        self._log = log
        self._limits = limits
        self._group = group
        self._number = number
        self._reader = RequestReader(limits.http)
        self._began = False
        self._continued = False
        self._waiting = b""
        self._seen: Seen | None = None
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._writable = asyncio.Event()
        self._transport: asyncio.Transport | None = None

    # called by the loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for a request."""
        self._transport = cast("asyncio.Transport", transport)
        self._writable.set()
        self._group.add(self)
        self._allow(self._limits.idle)

    def data_received(self, data: bytes) -> None:
        """Read on, or keep what comes before the answer is complete."""
        if self._task is None:
            self._read(data)
            return
        self._waiting += data
        if len(self._waiting) > self._limits.ahead:
            self.close()

    def eof_received(self) -> None:
        """Take a client that stops sending for one that is gone."""
        self._note_hang_up()
        self.close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's
        """Stop whatever was being played."""
        self._note_hang_up()
        self._group.discard(self)
        self._allow(None)
        if self._task is not None:
            self._task.cancel()

    def pause_writing(self) -> None:
        """Hold back: the client reads slowly."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Go on."""
        self._writable.set()

    def close(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    # reading

    def _read(self, data: bytes) -> None:
        reader = self._reader
        if not self._began:
            self._began = True
            self._allow(self._limits.head)
        try:
            had_head = reader.head is not None
            reader.feed(data)
        except HttpError as error:
            self._refuse(error)
            return
        if reader.head is None:
            return
        if not reader.complete:
            if not had_head:
                self._allow(self._limits.body)
            self._invite(reader.head)
            return
        self._allow(None)
        head, body = reader.head, reader.take()
        self._seen = self._log.add(head, body, self._number)
        reply = self._sandbox.answer(head, body)
        self._play_in_task(reply, head_only=head.method == "HEAD", keep_alive=head.keep_alive)

    def _invite(self, head: RequestHead) -> None:
        """Ask for the body, where the client waits to be asked."""
        if head.headers.get("expect", "").lower() == "100-continue" and not self._continued:
            self._continued = True
            self._write(_CONTINUE)

    def _refuse(self, error: HttpError) -> None:
        """Answer what is no request, and close."""
        self._allow(None)
        body = error_body(str(error), code="bad_http")
        self._play_in_task(json_reply(error.status, body), keep_alive=False)

    def _too_late(self) -> None:
        if self._began and self._task is None:
            self._refuse(HttpError("the request did not arrive in time", 408))
        else:
            self.close()

    # playing

    def _play_in_task(self, reply: Reply, *, head_only: bool = False, keep_alive: bool) -> None:
        play = self._play(reply, head_only=head_only, keep_alive=keep_alive)
        self._task = asyncio.get_running_loop().create_task(play)

    async def _play(self, reply: Reply, *, head_only: bool, keep_alive: bool) -> None:
        if not keep_alive and reply.framing != "close":
            reply = with_headers(reply, ("connection", "close"))
        if self._seen is not None:
            self._seen.status = reply.status
        for step in wire_steps(reply, head_only=head_only):
            if isinstance(step, bytes):
                self._write(step)
                await self._writable.wait()
                await asyncio.sleep(0)  # each step is a write of its own, and others have a turn
            elif isinstance(step, Pause):
                await asyncio.sleep(step.seconds)
            else:
                self._end(step)
                return
        self._note_answered()
        if keep_alive:
            self._start_again()
        elif self._transport is not None:
            self._transport.close()

    def _end(self, step: Cut | Reset) -> None:
        self._note_answered()
        transport = self._transport
        if transport is None:
            return
        if isinstance(step, Cut):
            transport.close()
            return
        sock: socket.socket = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _BREAK)
        transport.abort()

    def _start_again(self) -> None:
        self._task = None
        self._reader = RequestReader(self._limits.http)
        self._began = self._continued = False
        self._allow(self._limits.idle)
        waiting, self._waiting = self._waiting, b""
        if waiting:
            self._read(waiting)

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def _allow(self, seconds: float | None) -> None:
        """Set the time that the current stage may take; None sets none."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if seconds is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(seconds, self._too_late)

    def _note_answered(self) -> None:
        if self._seen is not None:
            self._seen.answered = time.monotonic()
            self._seen = None

    def _note_hang_up(self) -> None:
        if self._seen is not None:
            self._seen.hung_up = time.monotonic()
            self._seen = None
