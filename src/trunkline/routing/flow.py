"""The generators that carry a call along its route: they say what they need, and are told.

They open no socket and read no clock, so that one text serves both drivers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from typing import Any, TypeVar

import msgspec

from trunkline import errors
from trunkline._version import __version__
from trunkline.dialects import failures, openai_chat
from trunkline.dialects.openai_chat import ChunkReader
from trunkline.errors import APIError
from trunkline.providers import mapping
from trunkline.providers.spec import Target
from trunkline.providers.table import provider_hint
from trunkline.routing import record
from trunkline.routing.needs import Need, Renew, Reply, Send, Wait
from trunkline.routing.retry import Retry
from trunkline.types import Attempt, Chat, Completion, Secret
from trunkline.wire import strict_json
from trunkline.wire.message import HttpRequest, ResponseHead

_ABOUT_THE_PROVIDER = frozenset({400, 403, 404, 410, 422})
"""Statuses that a provider's name may have to do with."""

USER_AGENT = f"trunkline/{__version__}"


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

    def attempts(self, ended: float, error: APIError | None) -> tuple[Attempt, ...]:
        """Return every attempt, the stream's own last."""
        reply = msgspec.structs.replace(self.reply, ended=ended)
        last = record.attempt(len(self.before) + 1, self.send, reply, error, self.began)
        return (*self.before, last)

    def completion(self, ended: float, error: APIError | None = None) -> Completion:
        """Return the whole so far with its receipt."""
        completion = self.reader.fold.completion()
        receipt = record.receipt(
            self.attempts(ended, error),
            completion,
            self.chat.messages,
            first_at=self.reply.ended,
            ended=ended,
            began=self.began,
        )
        return msgspec.structs.replace(completion, receipt=receipt)

    def explain(self, error: APIError, ended: float) -> APIError:
        """Say on an error of this stream where it happened."""
        return _placed(error, self.send, self.reply, self.attempts(ended, error))


T = TypeVar("T")
Flow = Generator[Need, Any, T]
"""A call in progress: yields needs, is sent their answers, returns a T."""

Accept = Callable[["Journey", Send, Reply, tuple[Attempt, ...]], T]
"""Makes a result of a good reply, or raises what is wrong with it."""


class Journey(msgspec.Struct, frozen=True):
    """What stays the same while a call is carried to its target."""

    chat: Chat
    retry: Retry
    began: float
    """Monotonic time at which the call began."""
    names: mapping.ModelNames

    @property
    def end(self) -> float:
        """Monotonic time of the call's deadline."""
        return math.inf if self.chat.deadline is None else self.began + self.chat.deadline


def chat_flow(journey: Journey, target: Target) -> Flow[Completion]:
    """Carry one chat to its target and bring its whole answer; raises APIError."""
    return _carry(journey, target, _accept_whole)


def stream_flow(journey: Journey, target: Target) -> Flow[Opened]:
    """Carry one chat to its target and open its streamed answer; raises APIError."""
    return _carry(journey, target, _accept_stream)


def _carry(journey: Journey, target: Target, accept: Accept[T]) -> Flow[T]:
    """Try the target, a few times if it must be, until it answers well."""
    now = journey.began
    if target.look_up is not None:
        target, now = yield from _look_up(journey, target, target.look_up)
    attempts: list[Attempt] = []
    failed, renewed = 0, False
    while True:
        send = _send(journey, target, now)
        reply: Reply = yield send
        try:
            return accept(journey, send, reply, tuple(attempts))
        except APIError as caught:
            error = _by_deadline(caught, reply, journey.end)
        attempts.append(record.attempt(len(attempts) + 1, send, reply, error, journey.began))
        now = reply.ended
        if isinstance(error, errors.AuthenticationError) and target.secret and not renewed:
            renewed = True
            fresh: Secret | None = yield Renew(target.secret)
            if fresh is not None:
                target = msgspec.structs.replace(target, secret=fresh)
                continue
        failed += 1
        wait = journey.retry.delay(error, failed)
        if not journey.retry.again(error, failed) or now + wait >= journey.end:
            raise _placed(error, send, reply, tuple(attempts)) from error.__cause__
        now = yield Wait(wait)


def _send(journey: Journey, target: Target, now: float) -> Send:
    chat = journey.chat
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
    headers = {
        "user-agent": USER_AGENT,
        "accept": "text/event-stream" if chat.stream else "application/json",
        "accept-encoding": "identity",
        "content-type": "application/json",
    }
    if target.secret is not None:
        headers["authorization"] = f"{target.scheme} {target.secret.value}"
    headers.update(target.headers)
    headers.update(chat.extra_headers)
    return tuple(headers.items())


def _checked(reply: Reply) -> None:
    """Raise what went wrong; errors without an answer and answers that are errors alike."""
    if reply.error is not None:
        raise reply.error
    head = reply.head
    if head is None:
        raise errors.InvalidResponseError("No answer came.")
    if not 200 <= head.status < 300:
        raise _refusal(head, reply)


def _accept_stream(
    journey: Journey, send: Send, reply: Reply, before: tuple[Attempt, ...]
) -> Opened:
    _checked(reply)
    if send.reader is None:
        raise errors.InvalidResponseError("No stream was asked for.")
    return Opened(send.reader, send, reply, before, journey.chat, journey.began)


def _accept_whole(
    journey: Journey, send: Send, reply: Reply, before: tuple[Attempt, ...]
) -> Completion:
    _checked(reply)
    completion = openai_chat.read_answer(reply.body, think_tags=journey.chat.think_tags)
    last = record.attempt(len(before) + 1, send, reply, None, journey.began)
    receipt = record.receipt(
        (*before, last),
        completion,
        journey.chat.messages,
        first_at=None,
        ended=reply.ended,
        began=journey.began,
    )
    return msgspec.structs.replace(completion, receipt=receipt)


def _refusal(head: ResponseHead, reply: Reply) -> APIError:
    if 300 <= head.status < 400:
        return errors.InvalidResponseError(
            f"The server redirects ({head.status}), which is not followed: the token would go "
            "along.",
            hint="Give the address that it redirects to as api_base=.",
        )
    return failures.error_for(failures.read_failure(head.status, head.headers, reply.body))


def _by_deadline(error: APIError, reply: Reply, end: float) -> APIError:
    """Call a time-out what it is when the call's own deadline made it."""
    late = isinstance(error, errors.Timeout) and error.status is None and reply.ended >= end - 0.01
    if not late or isinstance(error, errors.DeadlineExceeded):
        return error
    found = errors.DeadlineExceeded(
        f"The call's deadline passed. {error.message}", hint="Raise deadline= to allow more."
    )
    found.sent = found.received = True
    return found


def _placed(error: APIError, send: Send, reply: Reply, attempts: tuple[Attempt, ...]) -> APIError:
    """Say on an error where it happened, and what is known of the provider it names."""
    head = reply.head
    error.provider = error.provider or record.served_by(send, head)
    error.model = error.model or send.target.model
    if error.status is None and head is not None and head.status >= 400:
        error.status = head.status
    error.request_id = error.request_id or (head.request_id if head else None)
    error.attempts = attempts
    if send.target.via in ("served", "direct"):
        error.hint = failures.hint_elsewhere(error)
    asked = send.target.provider
    if asked and error.status in _ABOUT_THE_PROVIDER:
        known = provider_hint(asked)
        if known:
            error.hint = f"{known}\n{error.hint}" if error.hint else known
    return error


def _look_up(
    journey: Journey, target: Target, name: str
) -> Generator[Need, Any, tuple[Target, float]]:
    """Find the name that the target's provider has for a model of the Hub, asking at most once.

    A Hub that does not answer is no reason to fail: the name goes out as it was given.
    """
    now = journey.began
    found = journey.names.get(name, target.provider, now)
    if found is None:
        request = journey.names.request(name)
        timeouts = journey.chat.timeouts
        until = min(now + timeouts.connect * 2, journey.end)
        reply: Reply = yield Send(
            msgspec.structs.replace(target, secret=None), request, timeouts, until
        )
        now = reply.ended
        if reply.head is not None and reply.head.status == 200:
            journey.names.keep(name, reply.body, now)
        else:
            journey.names.miss(name, now)
        found = journey.names.get(name, target.provider, now)
    return msgspec.structs.replace(target, model=found or name, look_up=None), now
