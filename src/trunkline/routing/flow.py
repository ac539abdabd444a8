"""The flows of a chat, whole and streamed.

They open no socket and read no clock, so that one text serves both drivers.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import msgspec

from trunkline import errors
from trunkline.dialects import openai_chat
from trunkline.dialects.openai_chat import ChunkReader
from trunkline.errors import APIError
from trunkline.providers.spec import Target
from trunkline.routing import record
from trunkline.routing.carry import (
    Accept,
    CallT,
    Flow,
    Journey,
    T,
    carry,
    checked,
    headers_for,
    placed,
)
from trunkline.routing.holding import Hold
from trunkline.routing.look_up import find_map
from trunkline.routing.needs import Need, Reply, Send
from trunkline.types import Attempt, AttemptRole, Chat, Chunk, Completion, Timeouts, Usage
from trunkline.types.route import RouteReport
from trunkline.wire import strict_json
from trunkline.wire.message import HttpRequest


class Opened(msgspec.Struct, frozen=True):
    """A stream whose first event has arrived."""

    reader: ChunkReader
    send: Send
    reply: Reply
    """Holds the open exchange and the first chunks."""
    before: tuple[Attempt, ...]
    """The attempts that failed first."""
    chat: Chat
    began: float
    role: AttemptRole | None = None
    hold: Hold | None = None
    """How much of it is kept back before any is delivered."""
    rest: bool = False
    """Whether its place went on from what another one had begun."""

    @property
    def limits(self) -> Timeouts:
        """The limits of each stage."""
        return self.chat.timeouts

    @property
    def report(self) -> RouteReport | None:
        """How its route came about, where it has one."""
        return None

    @property
    def deadline(self) -> float | None:
        """Seconds that the whole call may take."""
        return self.chat.deadline

    @property
    def usage(self) -> Usage | None:
        """Token counts, once they have come."""
        return self.reader.fold.usage

    @staticmethod
    def text_of(chunk: Chunk) -> str:
        """Return what a chunk adds to the first choice's content."""
        return chunk.text

    def attempts(self, ended: float, error: APIError | None) -> tuple[Attempt, ...]:
        """Return every attempt, the stream's own last."""
        reply = msgspec.structs.replace(self.reply, ended=ended)
        number = len(self.before) + 1
        last = record.attempt(number, self.send, reply, error, self.began, role=self.role)
        return (*self.before, last)

    def whole(self, ended: float, error: APIError | None = None) -> Completion:
        """Return the whole so far with its receipt."""
        completion = self.reader.fold.completion()
        receipt = record.receipt(
            self.attempts(ended, error),
            completion,
            self.chat,
            first_at=self.reply.ended,
            ended=ended,
            began=self.began,
            route=self.report,
        )
        return msgspec.structs.replace(completion, receipt=receipt)

    def mend(
        self,
        failure: APIError,  # noqa: ARG002 - for streams on routes
        ended: float,  # noqa: ARG002
        *,
        delivered: bool,  # noqa: ARG002
    ) -> Flow[Opened] | None:
        """Return how to go on after a failure of the stream; None where it ends the call."""
        return None

    def over(self, ended: float, error: APIError | None) -> None:
        """Take that the stream ended, or was broken off by `error`."""

    def explain(self, error: APIError, ended: float) -> APIError:
        """Say on an error of this stream where it happened."""
        return placed(error, self.send, self.reply, self.attempts(ended, error))


def chat_flow(journey: Journey[Chat], target: Target) -> Flow[Completion]:
    """Carry one chat to its target and bring its whole answer; raises APIError."""
    return _carried(journey, target, _accept_whole)


def stream_flow(journey: Journey[Chat], target: Target) -> Flow[Opened]:
    """Carry one chat to its target and open its streamed answer; raises APIError."""
    return _carried(journey, target, accept_stream)


def _carried(journey: Journey[Chat], target: Target, accept: Accept[Chat, T]) -> Flow[T]:
    now = journey.start
    if target.look_up is not None:
        target, now = yield from named(journey, target, target.look_up)
    return (yield from carry(journey, target, write_chat, accept, now))


def named(
    journey: Journey[CallT], target: Target, name: str
) -> Generator[Need, Any, tuple[Target, float]]:
    """Find the name that the target's provider has for a model of the Hub.

    A Hub that does not answer is no reason to fail: the name goes out as it was given.
    """
    found, now = yield from find_map(
        journey.maps,
        name,
        journey.hub_secret(target.secret),
        timeouts=journey.call.timeouts,
        now=journey.start,
        end=journey.end,
    )
    rows = found.servings if found else ()
    own = next((row.name for row in rows if row.provider == target.provider), name)
    return msgspec.structs.replace(target, model=own, look_up=None), now


def write_chat(journey: Journey[Chat], target: Target, now: float) -> Send:
    """Write the request for a target; raises InvalidInputError for what is no JSON."""
    chat = journey.call
    body = openai_chat.chat_body(chat, target.model)
    if target.tune is not None:
        body = target.tune(body)
    try:
        data = strict_json.encode(body)
    except strict_json.JsonError as error:
        raise errors.InvalidInputError(
            f"The request cannot be written as JSON: {error}."
        ) from error
    reader = None
    if chat.stream:
        asked = chat.parameters.get("stream_options") or {}
        reader = ChunkReader(
            think_tags=chat.think_tags, keep_usage_frames=bool(asked.get("include_usage"))
        )
    request = HttpRequest("POST", target.url, _headers(chat, target), data)
    until = min(now + chat.timeouts.total, journey.end)
    return Send(target, request, chat.timeouts, until, reader)


def _headers(chat: Chat, target: Target) -> tuple[tuple[str, str], ...]:
    own = {
        "accept": "text/event-stream" if chat.stream else "application/json",
        "content-type": "application/json",
    }
    return headers_for(target, own, chat.extra_headers)


def accept_stream(
    journey: Journey[Chat], send: Send, reply: Reply, before: tuple[Attempt, ...]
) -> Opened:
    """Make an open stream of a good reply; raises what is wrong with it."""
    checked(reply)
    reader = send.reader
    if not isinstance(reader, ChunkReader):
        raise errors.InvalidResponseError("No stream was asked for.")
    return Opened(reader, send, reply, before, journey.call, journey.began)


def _accept_whole(
    journey: Journey[Chat], send: Send, reply: Reply, before: tuple[Attempt, ...]
) -> Completion:
    checked(reply)
    completion = openai_chat.read_answer(reply.body, think_tags=journey.call.think_tags)
    last = record.attempt(len(before) + 1, send, reply, None, journey.began)
    receipt = record.receipt(
        (*before, last),
        completion,
        journey.call,
        first_at=None,
        ended=reply.ended,
        began=journey.began,
    )
    return msgspec.structs.replace(completion, receipt=receipt)
