"""Videos that were asked for: how they are getting on, their content, and calling them off.

Everything that is needed stands in a video's id, so that any process can answer. None of it is an entry
of the ledger: the call that asked for the video is.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import msgspec

from trunkline import errors
from trunkline.dialects.openai_server import RequestError
from trunkline.dialects.openai_videos_server import Status, VideoTold, gone_body, video_body
from trunkline.errors import APIError
from trunkline.gateway.asks import asking_after
from trunkline.gateway.carriers import manner_of
from trunkline.gateway.configured import Configured
from trunkline.gateway.dispatch import Dispatch
from trunkline.gateway.exchange import Exchange
from trunkline.gateway.pages import failed
from trunkline.gateway.refusals import JSON, Fault, of_error, tell
from trunkline.gateway.translated_media import kind_line
from trunkline.gateway.urgency import seconds_left
from trunkline.gateway.video_ids import Ticket, read_id
from trunkline.types.job import JobLook
from trunkline.types.media import Media

Work = Callable[[Exchange, str, Ticket], Awaitable[None]]

_START = b"/v1/videos/"
_CONTENT = "/content"
_FRESH = 1.0
"""Seconds for which what a provider said of a job is told again."""
_KEPT = 1000
_AT_ONCE = 8
"""Videos that are fetched at a time: each is in memory as a whole."""
_WAITING = frozenset(
    {"created", "in_queue", "pending", "queued", "starting", "submitted", "waiting"}
)
"""Words of providers, in small letters, for a job that has not begun."""
_CODES: tuple[tuple[type[errors.JobError], str], ...] = (
    (errors.JobCancelledError, "cancelled"),
    (errors.JobModeratedError, "moderation_blocked"),
    (errors.JobFailedError, "video_generation_failed"),
)
_NONE = Fault(404, "not_found", "There is no such video, or it is another key's.")
_LOST = Fault(404, "not_found", "The provider does not know the video, or no longer.")
_STAYS = Fault(
    409,
    "not_cancellable",
    "The video is over, or its provider has no way to cancel it. Nothing is kept here to delete.",
)
_WAIT = Fault(
    409, "video_not_ready", "The video is not done. Ask for its state first.", retry_after=2.0
)


class _Look:
    """What was last heard of a job; one request at a time asks."""

    __slots__ = ("lock", "told", "until")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.told: JobLook | None = None
        self.until = 0.0


class VideoPages:
    """Answers what is asked of videos by their ids."""

    def __init__(self, dispatch: Dispatch, configured: Configured, seal: bytes) -> None:
        """Believe ids that were signed with `seal`."""
        self._dispatch = dispatch
        self._configured = configured
        self._seal = seal
        self._looks: dict[str, _Look] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._room = asyncio.Semaphore(_AT_ONCE)

    # called by the route table

    def get(self, exchange: Exchange) -> None:
        """Tell how a video is getting on, or give its content."""
        told = _named(exchange)
        if told.endswith(_CONTENT):
            self._take(exchange, told.removesuffix(_CONTENT), self._content)
        else:
            self._take(exchange, told, self._state)

    def delete(self, exchange: Exchange) -> None:
        """Call a video off."""
        self._take(exchange, _named(exchange), self._off)

    # one request

    def _take(self, exchange: Exchange, video_id: str, work: Work) -> None:
        ticket = read_id(self._seal, video_id)
        caller = exchange.caller
        if ticket is None or caller is None or ticket.key != caller.key.id:
            tell(exchange, _NONE)
            return
        try:
            self._dispatch.look_how_urgent(exchange)
        except RequestError as wrong:
            self._dispatch.refuse(exchange, wrong)
            return
        begin = partial(self._begin, exchange, video_id, ticket, work)
        self._dispatch.within_rates(exchange, begin)

    def _begin(self, exchange: Exchange, video_id: str, ticket: Ticket, work: Work) -> None:
        task = asyncio.get_running_loop().create_task(self._done(exchange, video_id, ticket, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        exchange.on_gone = partial(_leave, task)

    async def _done(self, exchange: Exchange, video_id: str, ticket: Ticket, work: Work) -> None:
        try:
            async with asyncio.timeout(seconds_left(exchange.urgency)):
                await work(exchange, video_id, ticket)
        except TimeoutError:
            self._dispatch.out_of_time(exchange)
        except errors.JobLostError:
            tell(exchange, _LOST)
        except errors.JobError as error:
            code = next((code for kind, code in _CODES if isinstance(error, kind)), "failed")
            tell(exchange, Fault(409, code, error.message))
        except APIError as error:
            tell(exchange, of_error(error, hide=self._configured.secrets()))
        except Exception:
            failed(exchange)

    async def _state(self, exchange: Exchange, video_id: str, ticket: Ticket) -> None:
        known = VideoTold(
            video_id, ticket.model, ticket.created, "queued", ticket.size, ticket.seconds
        )
        try:
            look = await self._looked(video_id, ticket)
            told = msgspec.structs.replace(known, status=_status(look))
        except (errors.JobCancelledError, errors.JobFailedError, errors.JobModeratedError) as error:
            code = next(code for kind, code in _CODES if isinstance(error, kind))
            told = msgspec.structs.replace(known, status="failed", code=code, reason=error.message)
        exchange.answer_ok(JSON, video_body(told))

    async def _content(self, exchange: Exchange, video_id: str, ticket: Ticket) -> None:
        if exchange.query not in ("", "variant=video"):
            message = "Only the video itself is to be had: leave out the query."
            tell(exchange, Fault(400, "invalid_request", message, "variant"))
            return
        look = await self._looked(video_id, ticket)
        if not look.done:
            tell(exchange, _WAIT)
            return
        async with self._room:
            made: Media = await self._asked(ticket, "resume")
            kind = made.media_type or "application/octet-stream"
            exchange.answer_ok(kind_line(kind), made.bytes)

    async def _off(self, exchange: Exchange, video_id: str, ticket: Ticket) -> None:
        try:
            over = (await self._looked(video_id, ticket)).done
        except (errors.JobCancelledError, errors.JobFailedError, errors.JobModeratedError):
            over = True
        if not over and await self._asked(ticket, "cancel"):
            self._looks.pop(video_id, None)
            exchange.answer_ok(JSON, gone_body(video_id))
        else:
            tell(exchange, _STAYS)

    async def _looked(self, video_id: str, ticket: Ticket) -> JobLook:
        """Ask after a job, or tell again what was just told; raises APIError."""
        look = self._looks.get(video_id)
        if look is None:
            self._tidy()
            look = self._looks[video_id] = _Look()
        async with look.lock:
            if look.told is not None and look.until > time.monotonic():
                return look.told
            told: JobLook = await self._asked(ticket, "look")
            look.told, look.until = told, time.monotonic() + _FRESH
            return told

    def _tidy(self) -> None:
        if len(self._looks) >= _KEPT:
            now = time.monotonic()
            fresh = {i: k for i, k in self._looks.items() if k.lock.locked() or k.until > now}
            self._looks = fresh if len(fresh) < _KEPT else {}

    async def _asked(self, ticket: Ticket, what: str) -> Any:
        manner = manner_of(self._configured, ticket.upstream)
        client = self._configured.client_of(ticket.upstream)
        if client is None:
            raise errors.NotFoundError("The upstream that has the video is configured no more.")
        return await client.carry_out(asking_after(manner, ticket.job, what))


def _named(exchange: Exchange) -> str:
    """Return what the path has behind `/v1/videos/`, which lies below `/hf` too."""
    return exchange.head.path.partition(_START)[2].decode("latin-1")


def _leave(task: asyncio.Task[None]) -> None:
    task.cancel()


def _status(look: JobLook) -> Status:
    if look.done:
        return "completed"
    word = look.state.lower().removeprefix("task_status_")
    return "queued" if word in _WAITING else "in_progress"
