"""The sandbox as the upstream of whatever is looked at: it takes any key, and tells what it saw."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Self

import msgspec

from trunkline.conformance.judge import Truth
from trunkline.conformance.outcome import Heard, Said, Shape
from trunkline.conformance.reading import read
from trunkline.sandbox import FAULTS, Case, Reply, Sandbox, SandboxServer, Seen
from trunkline.sandbox.app import FAULT_HEADER
from trunkline.wire.http1_read import RequestHead

_PATH = "/v1/chat/completions"
_PARTING = 3.0
"""Seconds in which the upstream has to see that the client is gone."""
_KEEP = 20_000
"""Requests that are kept."""

_DRIPS = 200
"""Bytes that come one by one: the first event, about."""


def _drip(case: Case) -> Reply:
    """Answer one byte at a time, without pauses, as far as matters: the wall is in a hurry."""
    whole = b"".join(case.pieces)
    return case.reply([*(bytes((byte,)) for byte in whole[:_DRIPS]), whole[_DRIPS:]])


class AnyKey(Sandbox):
    """A sandbox that takes any credential, and any name for a model."""

    def __init__(self) -> None:
        """Hurry where waiting tells nothing."""
        super().__init__(faults=[msgspec.structs.replace(FAULTS["drip"], how=_drip)])

    def answer(self, head: RequestHead, body: bytes, *, inside: bool = False) -> Reply:
        """Answer as to a caller in this process."""
        del inside
        return super().answer(head, body, inside=True)


class Upstream:
    """The sandbox on a port of the running loop, and what is true of each call that reached it."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Open nothing yet."""
        self.sandbox = AnyKey()
        self.server = SandboxServer(self.sandbox, host=host, port=port, keep=_KEEP)

    async def __aenter__(self) -> Self:
        """Begin to listen; raises OSError where the port is taken."""
        await self.server.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        await self.server.stop()

    @property
    def url(self) -> str:
        """The base URL that the gateway asks."""
        return f"{self.server.url}/v1"

    def seen(self, mark: str) -> list[Seen]:
        """Return the requests of the call whose text has `mark` in it."""
        wanted = mark.encode()
        return [s for s in self.server.requests if wanted in s.body and not _is_elsewhere(s)]

    def truth(self, mark: str, model: str, fault: str | None) -> Truth:
        """Return what is true of the call with `mark`, which asked for `model` and its `fault`."""
        asked = self.seen(mark)
        if not asked:
            return Truth(asked=0)
        secret = asked[-1].headers.get("authorization", "").partition(" ")[2]
        said = self._good(asked[-1], fault)
        return Truth(said, len(asked), secret, self._followed(model))

    async def left(self, mark: str) -> bool:
        """Tell whether every exchange of a call has ended, soon after its client has gone."""
        until = time.monotonic() + _PARTING
        while time.monotonic() < until:
            if all(seen.hung_up or seen.answered for seen in self.seen(mark)):
                return True
            await asyncio.sleep(0.02)
        return False

    def _good(self, seen: Seen, fault: str | None) -> Said:
        """Return what the answer to a request says without its fault."""
        headers = {FAULT_HEADER: f"{fault};times=0"} if fault else {}
        reply = self.sandbox.answer(RequestHead("POST", _PATH, _PATH, "", headers), seen.body)
        shape: Shape = "stream" if reply.streamed else "whole"
        heard = Heard("whole", reply.status, dict(reply.headers), _bytes(reply.steps))
        return read(shape, heard).said

    def _followed(self, model: str) -> str:
        """Say what of a call was sent where a redirect led to: nothing, if it is all right."""
        there = [s for s in self.server.requests if _is_elsewhere(s) and s.path.endswith(model)]
        if any("authorization" in seen.headers for seen in there):
            return "the credential"
        return "the prompt" if any(seen.body for seen in there) else ""


def _is_elsewhere(seen: Seen) -> bool:
    return seen.path.startswith("/elsewhere/")


def _bytes(steps: Iterable[object]) -> bytes:
    return b"".join(step for step in steps if isinstance(step, bytes))
