"""Requests that name themselves (`Idempotency-Key`): each is done once, and its answer told again.

A name is claimed in the store before anything is done about its request, so that it holds on every
process that shares the store. What was spent is told again, never spent again.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from collections.abc import Callable, Coroutine, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

import msgspec

from trunkline.gateway.config import Idempotency
from trunkline.gateway.exchange import Exchange
from trunkline.gateway.once_exchange import KeptExchange
from trunkline.gateway.once_faults import (
    DOWN,
    FINAL,
    LONGEST,
    OFF,
    REUSED,
    UNFIT,
    of_state,
)
from trunkline.gateway.pages import Page, failed
from trunkline.gateway.refusals import STOPPING, Fault, tell
from trunkline.store.claims import Claim, Claims, ClaimState
from trunkline.store.records import Entry
from trunkline.store.seam import StoreError

_T = TypeVar("_T")
_KEY = re.compile(rb"[\x20-\x7e]{1,%d}" % LONGEST)
_BOUNDARY = re.compile(rb'multipart/form-data;.*boundary="?([^";,]{1,70})', re.IGNORECASE)
_RATES = re.compile(rb"x-ratelimit-[^\r]*\r\n")
_AT_ONCE = 4
"""Threads that ask the store."""
_MOST = 2000
"""Requests that may be with them at a time."""
_PATIENCE = 2.0
"""Seconds that an answer waits until it is kept; it is told then all the same."""
_PAUSE = 1.0
"""Between two tries to keep one."""
_MOST_HELD = 64 * 1024 * 1024
"""Bytes of answers that may wait to be kept; of others only that there was one is."""
_CLOSE_SECONDS = 5.0
_log = logging.getLogger(__name__)


class Once:
    """Sees to it that what names itself is done once."""

    def __init__(
        self,
        store: Claims,
        config: Idempotency,
        boot: str,
        *,
        lives: Callable[[str], bool],
        refused: Callable[[str], None],
        told: Callable[[str, str, str, int], None] = lambda *_: None,
    ) -> None:
        """`lives` tells whether a process of another name still serves; `refused` counts.

        `told` takes note of an answer that is told again: the request's id, the call's, whose, status.
        """
        self.replayed = 0
        """Answers that were told again."""
        self._store = store
        self._config = config
        self._boot = boot
        self._lives = lives
        self._refused = refused
        self._told_again = told
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="once")
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False
        self._held = 0
        """Bytes of answers that are being kept."""

    def admit(self, exchange: Exchange) -> Fault | None:
        """Have a request served once, if it is one for a call; tells what is wrong with its name."""
        page: Page = exchange.page
        if page.method != "POST":
            return None
        if not self._config.enabled:
            return OFF
        if not _KEY.fullmatch(exchange.head.headers[b"idempotency-key"]):
            return UNFIT
        serve = partial(self._serve, page)
        exchange.page = msgspec.structs.replace(page, serve=serve, pieces=False)
        return None

    async def purge(self) -> None:
        """Forget what has had its time."""
        try:
            await self._ask(self._store.purge_claims)
        except StoreError as error:
            _log.warning("kept answers were not purged", extra={"reason": str(error)})

    async def finish(self) -> None:
        """Begin nothing more, and keep what is to be kept, if the store takes it."""
        self._closing = True
        await asyncio.sleep(0)  # what was answered in this turn is looked at in the next
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_CLOSE_SECONDS)

    async def close(self) -> None:
        """Finish, and let go of what did not."""
        await self.finish()
        for task in self._tasks:
            task.cancel()
        self._threads.shutdown(wait=False)

    def _serve(self, page: Page, exchange: Exchange) -> None:
        if self._closing:
            tell(exchange, STOPPING, keep=False)
        elif len(self._tasks) >= _MOST:
            self._refused("idempotency")
            tell(exchange, DOWN)
        else:
            self._begin(self._take(page, exchange))

    async def _take(self, page: Page, exchange: Exchange) -> None:
        """Claim a request's name, and have its page serve it, or tell what came of the first."""
        try:
            claim, standing = await self._ask(partial(self._claim, exchange))
        except StoreError as error:
            _log.warning("a request's name was not claimed", extra={"reason": str(error)})
            self._refused("idempotency")
            tell(exchange, DOWN)
            return
        except Exception:
            self._failed(exchange)
            return
        if standing is not None:
            self._stands(exchange, claim, standing)
        elif exchange.gone:
            await self._settle(claim, None)
        else:
            kept = KeptExchange(exchange, self._config.max_bytes, partial(self._over, claim))
            kept.page = exchange.page = page
            try:
                page.serve(kept)
            except Exception:
                self._failed(kept)

    def _failed(self, exchange: Exchange) -> None:
        self._refused("fault")
        failed(exchange)

    def _claim(self, exchange: Exchange) -> tuple[Claim, Claim | None]:
        claim = claim_of(exchange, self._boot)
        seconds = self._config.retention_hours * 3600
        return claim, self._store.claim(claim, seconds=seconds)

    def _stands(self, exchange: Exchange, claim: Claim, standing: Claim) -> None:
        """Answer a request whose name was used before."""
        if standing.request != claim.request:
            self._refuse(exchange, REUSED)
        elif standing.state == "answered":
            self._replay(exchange, standing)
        elif standing.state == "running" and not self._lives(standing.boot):
            self._refuse(exchange, of_state("unknown", standing.call))
        else:
            self._refuse(exchange, of_state(standing.state, standing.call))

    def _refuse(self, exchange: Exchange, fault: Fault) -> None:
        self._refused("idempotency")
        if fault.code in FINAL:
            exchange.labels += b"x-should-retry: false\r\n"
        tell(exchange, fault)

    def _replay(self, exchange: Exchange, standing: Claim) -> None:
        self.replayed += 1
        lines = b"%bidempotent-replayed: true\r\nx-original-request-id: %b\r\n" % (
            standing.lines,
            standing.call.encode(),
        )
        if standing.status >= 400:
            lines += b"x-should-retry: false\r\n"
        exchange.answer_bytes(standing.status, lines, standing.body)
        caller = exchange.caller
        owner = "" if caller is None else caller.key.id
        self._told_again(exchange.id, standing.call, owner, standing.status)

    def _over(self, claim: Claim, kept: KeptExchange) -> None:
        """Keep what a call was answered, or give its name back; then its client has the end."""
        self._begin(self._end(claim, self._told(claim, kept), kept))

    def _told(self, claim: Claim, kept: KeptExchange) -> Claim | None:
        """Return a claim with what came of it; None where nothing was done about it."""
        call = kept.call
        state = None if call is None else state_of(call.entry, kept)
        if state is None:
            return None
        body = kept.kept if state == "answered" else b""
        if self._held + len(body) > _MOST_HELD:
            state, body = "unknown", b""
        lines = _RATES.sub(b"", kept.lines)
        return msgspec.structs.replace(
            claim, state=state, status=kept.status, lines=lines, body=body
        )

    async def _end(self, claim: Claim, told: Claim | None, kept: KeptExchange) -> None:
        settling = asyncio.ensure_future(self._settle(claim, told))
        await asyncio.wait({settling}, timeout=_PATIENCE)
        kept.deliver()
        await settling

    async def _settle(self, claim: Claim, told: Claim | None) -> None:
        """Write down what came of a claim, and try again while the store does not take it."""
        write: Callable[[], object] = partial(self._store.release, claim)
        size = 0
        if told is not None:
            write = partial(self._store.fulfil, told)
            size = len(told.body)
        self._held += size
        while True:
            try:
                await self._ask(write)
                break
            except StoreError as error:
                _log.warning("an answer is not kept yet", extra={"reason": str(error)})
            if self._closing:
                break
            await asyncio.sleep(_PAUSE)
        self._held -= size

    async def _ask(self, question: Callable[[], _T]) -> _T:
        """Ask the store on one of our threads."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, question)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def claim_of(exchange: Exchange, boot: str) -> Claim:
    """Return what a request claims: its name among its caller's, for exactly what it asks for."""
    head, caller = exchange.head, exchange.caller
    owner = "" if caller is None else caller.key.id
    name = _digest(owner.encode(), head.headers[b"idempotency-key"])
    boundary = _BOUNDARY.match(head.headers.get(b"content-type", b""))
    mark = b"" if boundary is None else b"--" + boundary[1]
    body = hashlib.sha256()
    # A page that takes a body in pieces has them still.
    for piece in without((exchange.body, *getattr(exchange, "parts", ())), mark):
        body.update(piece)
    asked = _digest(head.method, head.path, head.query, body.digest())
    return Claim(name, asked, exchange.id, boot)


def without(pieces: Iterable[bytes], mark: bytes) -> Iterator[bytes]:
    """Yield what a body has beside a form's boundary, of which clients make another for each try."""
    rest = b""
    for piece in pieces:
        if not mark:
            yield piece
            continue
        *whole, rest = (rest + piece).split(mark)
        yield from whole
        cut = max(len(rest) - len(mark) + 1, 0)  # the mark may go on in the next piece
        yield rest[:cut]
        rest = rest[cut:]
    yield rest


def state_of(entry: Entry, kept: KeptExchange) -> ClaimState | None:
    """Return how a call ended for those who ask again; None where they may have it sent.

    That is where nothing was sent, or the upstream refused it for a limit of its own: nobody has
    begun to work on it then.
    """
    if entry.state == "open":
        return None  # it could not be noted, so it was not sent
    unsent = entry.first_byte is None and entry.cost == 0
    if unsent or (entry.outcome == "refused" and entry.status == 429):
        return None
    if entry.error == STOPPING.code or not kept.answered:
        return "large" if kept.large else "unknown"
    return "large" if kept.large else "answered"


def _digest(*parts: bytes) -> bytes:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(b"%d:" % len(part))
        digest.update(part)
    return digest.digest()
