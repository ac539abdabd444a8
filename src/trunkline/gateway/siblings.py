"""The workers of one supervisor, asked how they are: whichever is asked answers for all of them.

Each answers on a socket in their private folder. One that does not answer is not ready.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from trunkline.gateway.listing import Readiness
from trunkline.gateway.summary import summary
from trunkline.gateway.tallies import Tallies
from trunkline.gateway.tally_sums import Numbers, added, numbers_of, numbers_on_file, write_numbers
from trunkline.store.seam import StoreError

_PATIENCE = 1.0
"""Seconds that another worker has to answer."""
_MOST = 64 * 1024 * 1024
"""Bytes of an answer that are read at once."""
Status = dict[str, Any]


class Told(msgspec.Struct):
    """How one worker is."""

    slot: int
    boot: str
    pid: int
    ready: bool
    troubles: tuple[str, ...]
    notes: tuple[str, ...] = ()
    status: Status = {}
    numbers: Numbers | None = None


_decoder = msgspec.msgpack.Decoder(Told)


class Siblings:
    """One worker's view of all."""

    def __init__(self, room: str, slot: int, boot: str) -> None:
        """Answer nobody yet."""
        self.slot = slot
        self.expected: tuple[int, ...] = (slot,)
        """Slots that all have to serve."""
        self._room = Path(room)
        self._boot = boot
        self._server: asyncio.Server | None = None

    async def begin(
        self,
        ready: Callable[[], Readiness],
        status: Callable[[], Status],
        tallies: Tallies,
        changed: Callable[[], Awaitable[None]],
    ) -> None:
        """Answer the others from now on; `changed` takes over what was changed in the store.

        Raises OSError.
        """
        self._changed = changed
        self._ready = ready
        self._status = status
        self._tallies = tallies
        path = self._room / f"{self._boot}.sock"
        self._server = await asyncio.start_unix_server(self._answer, path)

    def end(self) -> None:
        """Leave the last numbers for the others."""
        if self._server is None:
            return
        with contextlib.suppress(OSError):  # first: whoever is not answered reads it
            write_numbers(self._room, self._boot, numbers_of(self._tallies))
        self._server.close()
        self._server = None
        with contextlib.suppress(OSError):
            (self._room / f"{self._boot}.sock").unlink(missing_ok=True)

    async def tell_changes(self) -> None:
        """Have the others take over changes of keys, and wait until they have."""
        await self._ask(b"k")

    async def readiness(self) -> Readiness:
        """Tell whether every worker that should serve can."""
        every = await self._ask(b"r")
        troubles: list[str] = []
        for slot in self.expected:
            told = [each for each in every if each.slot == slot]
            if any(each.ready for each in told):
                continue
            said = [trouble for each in told for trouble in each.troubles]
            troubles += said or [f"worker {slot} does not answer"]
        notes = dict.fromkeys(note for each in every for note in each.notes)
        return Readiness(not troubles, tuple(dict.fromkeys(troubles)), tuple(notes))

    async def exposition(self) -> tuple[str, bytes]:
        """Return content type and text for Prometheus, of all workers."""
        # Loads prometheus_client, which takes longer than the gateway may take to start.
        from trunkline.gateway.metrics import CONTENT_TYPE, published

        every = await self._ask(b"n")
        total = self._total(every)
        pids = {str(each.slot): each.pid for each in sorted(every, key=lambda each: each.ready)}
        return CONTENT_TYPE, published(total, pids)

    async def status(self) -> Status:
        """Return what the admin API tells first, of all workers."""
        every = sorted(await self._ask(b"n"), key=lambda each: each.slot)
        ready = await self.readiness()
        one = self._status()
        for name in ("in_flight", "connections", "ledger_waiting"):
            one[name] = sum(each.status[name] for each in every)
        workers = [
            {
                "worker": each.slot,
                "pid": each.pid,
                "boot": each.boot,
                "ready": each.ready,
                "troubles": list(each.troubles),
                "in_flight": each.status["in_flight"],
                "connections": each.status["connections"],
            }
            for each in every
        ]
        one |= {"ready": ready.ready, "troubles": list(ready.troubles), "workers": workers}
        one["notes"] = list(ready.notes)
        return one | {"counts": summary(self._total(every))}

    def _total(self, every: list[Told]) -> Tallies:
        numbers = [each.numbers for each in every if each.numbers is not None]
        rest = numbers_on_file(self._room, but=[each.boot for each in every])
        return added([*numbers, *rest])

    async def _ask(self, question: bytes) -> list[Told]:
        others = [p for p in self._room.glob("*.sock") if p.stem != self._boot]
        told = await asyncio.gather(*(_ask_one(path, question) for path in others))
        return [self._tell(question), *(each for each in told if each is not None)]

    def _tell(self, question: bytes) -> Told:
        state = self._ready()
        told = Told(self.slot, self._boot, os.getpid(), state.ready, state.troubles, state.notes)
        if question == b"n":
            told.numbers = numbers_of(self._tallies)
            told.status = self._status()
            with contextlib.suppress(OSError):  # what is told counts on when this process is gone
                write_numbers(self._room, self._boot, told.numbers)
        return told

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_PATIENCE):
                question = await reader.readexactly(1)
                if question == b"k":
                    await self._changed()
                writer.write(msgspec.msgpack.encode(self._tell(question)))
                await writer.drain()
        except (OSError, EOFError, TimeoutError, StoreError):
            pass  # whoever asked is gone
        finally:
            writer.close()


async def _ask_one(path: Path, question: bytes) -> Told | None:
    try:
        async with asyncio.timeout(_PATIENCE):
            reader, writer = await asyncio.open_unix_connection(path, limit=_MOST)
            try:
                writer.write(question)
                return _decoder.decode(await reader.read())
            finally:
                writer.close()
    except (OSError, EOFError, TimeoutError, msgspec.MsgspecError):
        return None
