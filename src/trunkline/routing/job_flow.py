"""Following an asynchronous job at any provider: one flow for all, told by the provider's JobForm.

Wait, ask, wait a little longer, until the provider says that it is over or the time is up. It opens
no socket and reads no clock.
"""

from __future__ import annotations

import math
import re
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
from trunkline.types import Attempt, Secret
from trunkline.types.job import Job, JobLook, JobProgress
from trunkline.types.tasks import TaskCall
from trunkline.wire.message import HttpRequest, below

LONGEST = 3600.0
"""Seconds for which a job is followed where a call has no deadline."""
_ANSWER = 60.0
"""Seconds that the answer to a poll may take: it is a small one, and is asked for again."""
_LAST = 1.0
"""Seconds before the end at which a job is asked after once more."""
_ROOM = 1024 * 1024
"""Bytes of an answer beside a file that is written in it."""
_FAREWELL = 10.0
"""Seconds for cancelling a job whose caller wants to be gone."""
_CANCELLED = re.compile(r"\bwas cancell?ed\b", re.IGNORECASE)
_GONE = re.compile(r"(task|job|request|prediction) not found\.?", re.IGNORECASE)
"""What a provider says of a job that it does not know, where it says so as a state."""


class Following(msgspec.Struct, frozen=True):
    """A job, and what is needed to ask after it."""

    job: Job
    form: JobForm
    target: Target


class Polled(msgspec.Struct, frozen=True):
    """What was last heard of a job: the answer as it came, decoded, and when."""

    reading: Reading
    answer: Any
    at: float
    secret: Secret | None
    """The credential that brought it: another one than before, where that had been refused."""


Poll = Generator[Need, Any, Polled]


def job_flow(journey: Journey[TaskCall], following: Following, known: Polled | None) -> Poll:
    """Follow a job to its end and return its last answer; raises JobError, or what went wrong.

    `known` is what is known of it so far; without that it is asked after at once. Every error of
    the job carries it as `job`.
    """
    try:
        return (yield from _follow(journey, following, known))
    except errors.JobError as error:
        error.job = following.job
        raise
    except errors.DeadlineExceeded as error:
        seconds = _end(journey) - journey.began
        raise _unfinished(following, "not told", seconds) from error
    except APIError as error:
        make_resumable(error, following.job, "It may still finish")
        raise


def cancel_flow(
    journey: Journey[TaskCall], following: Following, now: float
) -> Generator[Need, Any, bool]:
    """Cancel a job; False where its provider has no way to, or would not any more."""
    form = following.form
    if form.cancel is None:
        return False
    method, suffix = form.cancel
    try:
        yield from carry(journey, _at(following, suffix), partial(_send, method), _taken, now)
    except (errors.BadRequestError, errors.ConflictError, errors.UnprocessableEntityError):
        return False
    except errors.NotFoundError:
        return False
    except APIError as error:
        error.job = following.job
        raise
    return True


def make_resumable(error: APIError, job: Job, why: str) -> None:
    """Say on an error that is not the job's own why and how to go on with it."""
    error.job = job
    more = _how_to_resume(job, why)
    error.hint = f"{error.hint}\n{more}" if error.hint else more


def _follow(journey: Journey[TaskCall], following: Following, known: Polled | None) -> Poll:
    form, end = following.form, _end(journey)
    polls = 0
    if known is None:
        known = yield from _ask(journey, following, form.status, journey.began)
        polls = 1
    while form.state(known.answer) == "pending":
        following = _with_secret(following, known.secret)
        yield from _tell(journey, following, known, polls)
        left = end - known.at
        wait = form.wait(polls)
        wait = wait if wait < left else left - _LAST
        if wait <= 0:
            state = str(look(known.answer, form.state_at) or "not told")
            raise _unfinished(following, state, end - journey.began)
        now: float = yield Wait(wait)
        known = yield from _ask(journey, following, form.status, now)
        polls += 1
    return (yield from _last(journey, following, known))


def look_flow(journey: Journey[TaskCall], following: Following) -> Generator[Need, Any, JobLook]:
    """Ask after a job once; raises JobError where it failed, or what went wrong with asking."""
    form = following.form
    try:
        known = yield from _ask(journey, following, form.status, journey.began)
        if form.state(known.answer) == "pending":
            return JobLook(done=False, state=_word(form, known.answer))
        if form.content and form.state(known.answer) == "done":
            return JobLook(done=True, state=_word(form, known.answer))
        yield from _last(journey, following, known)
    except APIError as error:
        error.job = following.job
        raise
    return JobLook(done=True, state=_word(form, known.answer))


def _word(form: JobForm, answer: Any) -> str:
    return str(look(answer, form.state_at) or "submitted")


def _last(journey: Journey[TaskCall], following: Following, known: Polled) -> Poll:
    """Return the answer that has the result of a job which is over; raises where it has none."""
    form = following.form
    if form.state(known.answer) != "done":
        raise _ended(following, known.answer)
    if form.content:
        following = _with_secret(following, known.secret)
        return (yield from _content(journey, following, known.at))
    if not form.fetch_result:
        return known
    following = _with_secret(following, known.secret)
    try:
        return (yield from _ask(journey, following, "", known.at))
    except APIError as error:
        kind = _told_at_last(error)
        if kind is None:
            raise
        raise _as(kind, error) from error


def _end(journey: Journey[TaskCall]) -> float:
    return journey.began + LONGEST if journey.call.deadline is None else journey.end


def _with_secret(following: Following, secret: Secret | None) -> Following:
    target = msgspec.structs.replace(following.target, secret=secret)
    return msgspec.structs.replace(following, target=target)


def _tell(
    journey: Journey[TaskCall], following: Following, known: Polled, polls: int
) -> Generator[Need, Any, None]:
    """Tell the caller how it goes; what the caller raises then cancels the job."""
    tell = journey.call.on_progress
    if tell is None:
        return
    form = following.form
    place = look(known.answer, form.position_at) if form.position_at else None
    told = JobProgress(
        job=following.job,
        state=_word(form, known.answer),
        seconds=known.at - journey.began,
        polls=polls,
        position=place if isinstance(place, int) and not isinstance(place, bool) else None,
    )
    try:
        tell(told)
    except BaseException:
        try:
            yield from cancel_flow(_in_a_hurry(journey), following, known.at)
        except APIError:
            pass  # what the caller raised is what there is to say
        raise


def _in_a_hurry(journey: Journey[TaskCall]) -> Journey[TaskCall]:
    """Return a journey of one attempt, and a short one."""
    timeouts = msgspec.structs.replace(
        journey.call.timeouts, total=min(_FAREWELL, journey.call.timeouts.total)
    )
    call = msgspec.structs.replace(journey.call, timeouts=timeouts)
    retry = msgspec.structs.replace(journey.retry, limit=0)
    return msgspec.structs.replace(journey, call=call, retry=retry)


# one request


def _ask(journey: Journey[TaskCall], following: Following, suffix: str, now: float) -> Poll:
    """Ask after a job. A refusal for its content is the job's end, and so is not being known."""
    at = _at(following, suffix)
    try:
        return (yield from carry(journey, at, partial(_send, "GET"), _accept, now))
    except errors.ContentPolicyViolationError as error:
        raise _as(errors.JobModeratedError, error) from error
    except errors.NotFoundError as error:
        raise _as(errors.JobLostError, error, "The provider does not know the job.") from error


def _content(journey: Journey[TaskCall], following: Following, now: float) -> Poll:
    """Fetch the file that a server keeps beside the job."""
    at = _at(following, following.form.content)
    try:
        return (yield from carry(journey, at, _send_for_file, _accept_file, now))
    except errors.NotFoundError as error:
        raise _as(errors.JobLostError, error, "The server no longer has the file.") from error


def _send_for_file(journey: Journey[TaskCall], target: Target, now: float) -> Send:
    call = journey.call
    headers = headers_for(target, {"accept": "*/*"}, call.extra_headers)
    until = min(now + call.timeouts.total, journey.end)
    request = HttpRequest("GET", target.url, headers, limit=call.max_bytes)
    return Send(target, request, call.timeouts, until)


def _accept_file(
    journey: Journey[TaskCall], send: Send, reply: Reply, before: tuple[Attempt, ...]
) -> Polled:
    reading = _taken(journey, send, reply, before)
    return Polled(reading, None, reply.ended, send.target.secret)


def _send(method: str, journey: Journey[TaskCall], target: Target, now: float) -> Send:
    call = journey.call
    headers = headers_for(target, {"accept": "application/json"}, call.extra_headers)
    until = min(now + min(call.timeouts.total, _ANSWER), journey.end)
    request = HttpRequest(method, target.url, headers, limit=answer_limit(call))
    return Send(target, request, call.timeouts, until)


def answer_limit(call: TaskCall) -> int:
    """Return the bytes that an answer may have: a file in base64, and what is told of it."""
    return call.max_bytes * 4 // 3 + _ROOM


def _accept(
    journey: Journey[TaskCall],
    send: Send,
    reply: Reply,
    before: tuple[Attempt, ...],
) -> Polled:
    reading = _taken(journey, send, reply, before)
    return Polled(reading, reading.json, reply.ended, send.target.secret)


def _taken(
    journey: Journey[TaskCall],  # noqa: ARG001 - carry's signature
    send: Send,  # noqa: ARG001 - carry's signature
    reply: Reply,
    before: tuple[Attempt, ...],  # noqa: ARG001 - polls are not attempts of the call
) -> Reading:
    error = reply.error
    if isinstance(error, errors.APIConnectionError) and error.should_retry is None:
        error.should_retry = True  # asking twice does no harm
    head = checked(reply)
    return Reading(reply.body, head.content_type, dict(head.headers))


def _at(following: Following, suffix: str) -> Target:
    """Return the target for a request about a job."""
    target, form = following.target, following.form
    path, _, query = following.job.path.partition("?")
    routed = form.routed_query if target.via in ("router", "sandbox") else ""
    asked = "&".join(dict.fromkeys(part for part in (query, routed) if part))
    url = below(target.base, f"{path}{suffix}" + (f"?{asked}" if asked else ""))
    return msgspec.structs.replace(target, url=url)


# how it ended


def _ended(following: Following, answer: Any) -> errors.JobError:
    form, job = following.form, following.job
    reason = form.reason(answer)
    state: str = form.state(answer)
    if state == "failed":
        state = "lost" if _GONE.fullmatch(reason) else state
        state = "cancelled" if _CANCELLED.search(reason) else state
    kind, words = _ENDS[state]
    said = f": {reason}" if reason else "; the provider gives no reason."
    return kind(
        f"The job {words}{said}",
        job=job,
        provider=job.provider,
        model=job.model,
        body=answer,
    )


_ENDS: dict[str, tuple[type[errors.JobError], str]] = {
    "cancelled": (errors.JobCancelledError, "was cancelled"),
    "failed": (errors.JobFailedError, "failed"),
    "lost": (errors.JobLostError, "is not known to the provider"),
    "moderated": (errors.JobModeratedError, "was refused for its content"),
}


def _told_at_last(error: APIError) -> type[errors.JobError] | None:
    """Return what an error says of a job that was called complete: its result is the error."""
    refused = isinstance(error, (errors.BadRequestError, errors.UnprocessableEntityError))
    broken = type(error) in (errors.InternalServerError, errors.GenerationError)
    if isinstance(error, errors.JobError) or not (refused or broken):
        return None
    cancelled = _CANCELLED.search(error.message)
    return errors.JobCancelledError if cancelled else errors.JobFailedError


def _unfinished(following: Following, state: str, seconds: float) -> errors.JobUnfinishedError:
    job = following.job
    limit = "an hour" if math.isclose(seconds, LONGEST) else f"{seconds:g} s"
    return errors.JobUnfinishedError(
        f"The job was not done within {limit}; its state is {state}.",
        job=job,
        provider=job.provider,
        model=job.model,
        hint=_how_to_resume(job, "It may still finish"),
    )


def _how_to_resume(job: Job, why: str) -> str:
    return f"{why}: resume_job({str(job)!r}) asks after the job again."


def _as(kind: type[errors.JobError], error: APIError, instead: str = "") -> errors.JobError:
    message = f"{instead} {error.message}".strip()
    made = kind(message)
    made.__dict__.update({**error.__dict__, "message": message})
    return made
