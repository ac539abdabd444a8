"""Following an asynchronous job at any provider: one flow for all, told by the provider's JobForm.

Wait, ask, wait a little longer, until the provider says that it is over or the time is up. It opens
no socket and reads no clock.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from functools import partial
from typing import Any

import msgspec

from trunkline import errors
from trunkline.dialects.jobs import JobForm, look
from trunkline.dialects.shape import Reading
from trunkline.errors import APIError
from trunkline.providers.spec import Target
from trunkline.routing.carry import Journey, carry, checked, headers_for
from trunkline.routing.needs import Need, Reply, Send, Wait
from trunkline.types import Attempt
from trunkline.types.job import Job, JobProgress
from trunkline.types.tasks import TaskCall
from trunkline.wire.message import HttpRequest, below

LONGEST = 3600.0
"""Seconds for which a job is followed where a call has no deadline."""


class Following(msgspec.Struct, frozen=True):
    """A job, and what is needed to ask after it."""

    job: Job
    form: JobForm
    target: Target


class Polled(msgspec.Struct, frozen=True):
    """What a poll brought: the answer as it came, decoded, and when."""

    reading: Reading
    answer: Any
    at: float


Poll = Generator[Need, Any, Polled]


def job_flow(journey: Journey[TaskCall], following: Following, known: Polled) -> Poll:
    """Follow a job to its end and return its last answer; raises JobError, or what went wrong.

    `known` is what is known of it so far. Every error of the job carries it as `job`.
    """
    try:
        return (yield from _follow(journey, following, known))
    except APIError as error:
        error.job = following.job
        raise


def cancel_flow(journey: Journey[TaskCall], following: Following) -> Generator[Need, Any, bool]:
    """Cancel a job; False where its provider has no way to, or would not any more."""
    form = following.form
    if form.cancel is None:
        return False
    method, suffix = form.cancel
    at = _at(following, suffix)
    try:
        yield from carry(journey, at, partial(_send, method), _accept, journey.began)
    except errors.APIConnectionError:
        raise
    except APIError as error:
        if isinstance(error, errors.AuthenticationError | errors.PermissionDeniedError):
            raise
        return False
    return True


def _follow(journey: Journey[TaskCall], following: Following, known: Polled) -> Poll:
    form = following.form
    end = min(journey.end, journey.began + LONGEST)
    polls = 0
    reading, answer, now = known.reading, known.answer, known.at
    while True:
        state = form.state(answer)
        if state == "done":
            break
        if state != "pending":
            raise _ended(following, answer)
        yield from _tell(journey, following, answer, polls, now)
        wait = form.wait(polls)
        if now + wait >= end:
            raise _unfinished(following, answer, end - journey.began)
        now = yield Wait(wait)
        polls += 1
        reading, now = yield from _ask(journey, _at(following, form.status), now)
        answer = reading.json
    if form.fetch_result:
        reading, now = yield from _ask(journey, _at(following, ""), now)
        answer = reading.json
    return Polled(reading, answer, now)


def _tell(
    journey: Journey[TaskCall], following: Following, answer: Any, polls: int, now: float
) -> Generator[Need, Any, None]:
    """Tell the caller how it goes; what the caller raises then cancels the job."""
    tell = journey.call.on_progress
    if tell is None:
        return
    form = following.form
    place = look(answer, form.position_at) if form.position_at else None
    told = JobProgress(
        job=following.job,
        state=str(look(answer, form.state_at) or "submitted"),
        seconds=now - journey.began,
        polls=polls,
        position=place if isinstance(place, int) else None,
    )
    try:
        tell(told)
    except BaseException:
        try:
            yield from cancel_flow(journey, following)
        except APIError:
            pass  # what the caller raised is what there is to say
        raise


def _ask(
    journey: Journey[TaskCall], target: Target, now: float
) -> Generator[Need, Any, tuple[Reading, float]]:
    try:
        return (yield from carry(journey, target, partial(_send, "GET"), _accept, now))
    except errors.AuthenticationError:
        raise
    except errors.ContentPolicyViolationError as error:
        raise _as(errors.JobModeratedError, error) from error
    except errors.NotFoundError as error:
        raise _as(errors.JobLostError, error, "The provider does not know the job.") from error
    except (errors.UnprocessableEntityError, errors.BadRequestError) as error:
        raise _as(errors.JobFailedError, error) from error


def _send(method: str, journey: Journey[TaskCall], target: Target, now: float) -> Send:
    call = journey.call
    headers = headers_for(target, {"accept": "application/json"}, call.extra_headers)
    until = min(now + call.timeouts.total, journey.end)
    request = HttpRequest(method, target.url, headers, limit=call.max_bytes)
    return Send(target, request, call.timeouts, until)


def _accept(
    journey: Journey[TaskCall],  # noqa: ARG001 - carry's signature
    send: Send,  # noqa: ARG001 - carry's signature
    reply: Reply,
    before: tuple[Attempt, ...],  # noqa: ARG001 - polls are not attempts of the call
) -> tuple[Reading, float]:
    head = checked(reply)
    return Reading(reply.body, head.content_type, dict(head.headers)), reply.ended


def _at(following: Following, suffix: str) -> Target:
    """Return the target for a request about a job."""
    target, form = following.target, following.form
    path, _, query = following.job.path.partition("?")
    routed = form.routed_query if target.via in ("router", "sandbox") else ""
    asked = "&".join(dict.fromkeys(part for part in (query, routed) if part))
    url = below(target.base, f"{path}{suffix}" + (f"?{asked}" if asked else ""))
    return msgspec.structs.replace(target, url=url)


def _ended(following: Following, answer: Any) -> errors.JobError:
    form, job = following.form, following.job
    state, reason = form.state(answer), form.reason(answer)
    kinds: dict[str, type[errors.JobError]] = {
        "moderated": errors.JobModeratedError,
        "cancelled": errors.JobCancelledError,
    }
    kind = kinds.get(state, errors.JobFailedError)
    words = {"moderated": "was refused for its content", "cancelled": "was cancelled"}
    said = f": {reason}" if reason else "; the provider gives no reason"
    return kind(
        f"The job {words.get(state, 'failed')}{said}",
        job=job,
        provider=job.provider,
        model=job.model,
        body=answer,
    )


def _unfinished(following: Following, answer: Any, seconds: float) -> errors.JobUnfinishedError:
    job = following.job
    state = look(answer, following.form.state_at) or "not told"
    limit = "an hour" if math.isclose(seconds, LONGEST) else f"{seconds:g} s"
    return errors.JobUnfinishedError(
        f"The job was not done within {limit}; its state is {state}.",
        job=job,
        provider=job.provider,
        model=job.model,
        hint=f"It may still finish: resume_job({str(job)!r}) goes on waiting for it.",
    )


def _as(kind: type[errors.JobError], error: APIError, instead: str = "") -> errors.JobError:
    message = f"{instead} {error.message}".strip()
    made = kind(message)
    made.__dict__.update({**error.__dict__, "message": message})
    return made
