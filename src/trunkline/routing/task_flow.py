"""The flow of every task but chat: where it goes, what it needs first, the call, its job, its files.

It opens no socket and reads no clock.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, cast

import msgspec

from trunkline.dialects.shape import Fetch, Reading, Shape, Wish, told_failure
from trunkline.errors import (
    APIConnectionError,
    APIError,
    InvalidInputError,
    InvalidResponseError,
    NotFoundError,
    RateLimitError,
    ServiceUnavailableError,
)
from trunkline.media import check_fetched, decode_data_url, result_media
from trunkline.providers.engines import Seekers
from trunkline.providers.spec import Route, Target, accepted
from trunkline.providers.targets import Places
from trunkline.providers.unsaid import check_said
from trunkline.routing import batches, record
from trunkline.routing.ask import Ask
from trunkline.routing.carry import Journey, carry, checked, headers_for
from trunkline.routing.english import in_english
from trunkline.routing.files import blobs_in, fetch_input, fetch_result, with_blobs
from trunkline.routing.job_flow import (
    Following,
    Polled,
    answer_limit,
    cancel_flow,
    job_flow,
    look_flow,
    make_resumable,
)
from trunkline.routing.needs import Need, Reply, Send, Wait
from trunkline.routing.where import find_info, find_target, job_target, keep_pipeline, other_target
from trunkline.types import Attempt
from trunkline.types.job import SERVED_JOB, Job, JobAccepted
from trunkline.types.media import Blob, Media
from trunkline.types.results import Items
from trunkline.types.tasks import TaskCall
from trunkline.wire.message import HttpRequest

Step = Generator[Need, Any, Any]

_FILES = ("audio/", "image/", "video/")


class Answered(msgspec.Struct, frozen=True):
    """A good answer of a task, and the attempts that it took."""

    reading: Reading
    target: Target
    attempts: tuple[Attempt, ...]
    at: float


def task_flow(journey: Journey[TaskCall], places: Places, seekers: Seekers) -> Step:
    """Carry one call of a task to its target and bring its result; raises APIError."""
    target, now = yield from find_target(journey, places, seekers)
    try:
        return (yield from _call(journey, target, now))
    except NotFoundError as error:
        other = other_target(journey, places, target, error)
        if other is None:
            raise
        now = yield Wait(0.0)
        try:
            result = yield from _call(journey, other, now)
        except NotFoundError:
            raise error from None
        keep_pipeline(seekers.engines, places.api_base or "", other, now)
        return result


def _call(journey: Journey[TaskCall], target: Target, now: float) -> Step:
    """Make one call at one target, with what it needs first, in as many requests as it takes."""
    call, target = in_english(journey.call, target)
    call = fitted(call, target)
    call, now = yield from _with_files(journey, call, target, now)
    journey = msgspec.structs.replace(journey, call=call)
    calls = batches.split(call, target.max_batch)
    if len(calls) > 1:
        return (yield from _in_batches(journey, target, calls, now))
    return (yield from _once(journey, target, now))


def ask_flow(ask: Ask[Any], seekers: Seekers) -> Step:
    """Carry out what was asked for: a call of a task, or the rest of one; raises APIError."""
    journey, job = ask.journey, ask.job
    if ask.what == "info":
        return find_info(journey, ask.places, seekers.engines)
    if job is None:
        return task_flow(journey, ask.places, seekers)
    target = job_target(journey, job, ask.places, seekers)
    form = _shape(target).job
    if form is None:
        raise InvalidInputError(
            f"{job.provider} has no jobs for {job.task}.",
            hint="Check that the job's text is whole.",
        )
    following = Following(job, form, target)
    if ask.what == "cancel":
        return cancel_flow(journey, following, journey.began)
    if ask.what == "look":
        return look_flow(journey, following)
    return _finished(journey, following, None, ())


def fitted(call: TaskCall, target: Target) -> TaskCall:
    """Return the call with its parameters under the provider's names.

    Those that the provider does not take are dropped with `drop_params`, else refused.
    """
    route = _route(target)
    if call.strict:
        check_said(call.parameters, target, call.task, str(call.model))
    parameters = accepted(
        call.parameters, route.refuses, target.provider, str(call.model), drop=call.drop_params
    )
    renames = dict(route.renames)
    renamed = {renames.get(name, name): value for name, value in parameters.items()}
    return msgspec.structs.replace(call, parameters=renamed)


def _with_files(
    journey: Journey[TaskCall], call: TaskCall, target: Target, now: float
) -> Generator[Need, Any, tuple[TaskCall, float]]:
    """Fetch the inputs that were given by URL, where the provider wants bytes."""
    if _shape(target).takes_urls:
        return call, now
    fetched: dict[int, Blob] = {}
    for blob in blobs_in((call.inputs, call.parameters)):
        if blob.url is not None and not blob.content:
            try:
                file, now = yield from fetch_input(journey, blob, now)
                fetched[id(blob)] = check_fetched(
                    file.content, file.media_type, _kind(call.task), blob.url, call.max_bytes
                )
            except APIError as error:
                error.model = error.model or str(call.model)
                raise
    if not fetched:
        return call, now
    inputs, parameters = with_blobs((call.inputs, call.parameters), fetched)
    return msgspec.structs.replace(call, inputs=inputs, parameters=parameters), now


def _kind(task: str) -> Any:
    if task in ("automatic-speech-recognition", "audio-classification", "audio-to-audio"):
        return "audio"
    return "document" if task in ("document-question-answering", "image-to-text") else "image"


def _once(journey: Journey[TaskCall], target: Target, now: float) -> Step:
    answered = yield from carry(journey, target, _send, _accept, now)
    try:
        answer, following = _accepted_job(journey.call, answered)
    except APIError as error:
        _place(error, answered)
        raise
    if following is None:
        return (yield from _result(journey, answered))
    if not journey.call.wait:
        accepted_job = JobAccepted(following.job)
        return _with_receipt(journey, answered, accepted_job, answered.at)
    known = Polled(answered.reading, answer, answered.at, answered.target.secret)
    return (yield from _finished(journey, following, known, answered.attempts))


def _accepted_job(call: TaskCall, answered: Answered) -> tuple[Any, Following | None]:
    """Read the job that an answer accepts; None where the answer is the result.

    Raises InvalidResponseError where it does not say how to ask after the job.
    """
    target = answered.target
    form = _shape(target).job
    if form is None:
        return None, None
    answer = answered.reading.json
    job_id = form.job_id(answer) if call.wait else form.any_id(answer)
    if job_id is None:
        return answer, None
    path = form.job_path(answer, job_id)
    job = Job(target.provider or SERVED_JOB, call.task, str(call.model), job_id, path)
    return answer, Following(job, form, target)


def _finished(
    journey: Journey[TaskCall],
    following: Following,
    known: Polled | None,
    attempts: tuple[Attempt, ...],
) -> Step:
    """Follow a job to its end and make the result; an error on the way says how to resume it."""
    answered = Answered(Reading(b""), following.target, attempts, journey.began)
    try:
        last = yield from job_flow(journey, following, known)
    except APIError as error:
        _place(error, answered)
        raise
    answered = Answered(last.reading, following.target, attempts, last.at)
    try:
        return (yield from _result(journey, answered))
    except APIError as error:
        make_resumable(error, following.job, "The job itself is done")
        raise


def _result(journey: Journey[TaskCall], answered: Answered) -> Step:
    """Read the answer, fetch what it names, and put the receipt on it."""
    target, now = answered.target, answered.at
    try:
        _check_size(answered.reading, journey.call.max_bytes)
        result = _shape(target).read(answered.reading, wish_for(journey.call, target))
        if isinstance(result, Fetch):
            files: list[Media] = []
            for url in result.urls:
                media, now = yield from _file(journey, target, url, now)
                files.append(media)
            result = result.build(tuple(files))
    except APIError as error:
        _place(error, answered)
        raise
    return _with_receipt(journey, answered, result, now)


def _check_size(reading: Reading, limit: int) -> None:
    """Raise InvalidResponseError where an answer is itself a file that is too large."""
    if len(reading.body) > limit and reading.content_type.startswith(_FILES):
        raise InvalidResponseError(
            f"The answer is a file of more than {limit:,} bytes, which is the limit.",
            hint="max_bytes= sets the limit.",
        )


def _place(error: APIError, answered: Answered) -> None:
    """Say on an error which answer it came of."""
    target = answered.target
    error.provider = error.provider or target.provider
    error.model = error.model or target.model
    error.attempts = error.attempts or answered.attempts
    error.request_id = error.request_id or _request_id(answered)


def _file(
    journey: Journey[TaskCall], target: Target, url: str, now: float
) -> Generator[Need, Any, tuple[Media, float]]:
    call = journey.call
    if url.startswith("data:"):
        try:
            content, declared = decode_data_url(url, call.max_bytes)
        except InvalidInputError as error:
            raise InvalidResponseError(
                f"The result's file is unreadable: {error.message}"
            ) from error
        return result_media(content, declared, None), now
    if not call.download:
        return Media(url=url), now
    file, now = yield from fetch_result(journey, target, url, now)
    return result_media(file.content, file.media_type, url), now


def _in_batches(
    journey: Journey[TaskCall], target: Target, calls: list[TaskCall], now: float
) -> Step:
    """Make several calls, one after the other, for more inputs than one request may have."""
    parts: list[Any] = []
    for call in calls:
        try:
            part = yield from _once(msgspec.structs.replace(journey, call=call), target, now)
        except APIError as error:
            before = record.attempts_of(part.receipt for part in parts)
            error.attempts = record.numbered((*before, *error.attempts))
            raise
        parts.append(part)
        now = journey.began + part.receipt.total_time
    return batches.join(parts, journey.call)


def _send(journey: Journey[TaskCall], target: Target, now: float) -> Send:
    call, shape = journey.call, _shape(target)
    body = shape.write(wish_for(call, target))
    own = {"accept": body.accept}
    if body.content_type is not None:
        own["content-type"] = body.content_type
    headers = headers_for(target, own, {**dict(body.headers), **call.extra_headers})
    until = min(now + call.timeouts.total, journey.end)
    once = shape.job is not None
    request = HttpRequest(
        "POST", target.url, headers, body.data, limit=answer_limit(call), once=once
    )
    return Send(target, request, call.timeouts, until)


def _accept(
    journey: Journey[TaskCall], send: Send, reply: Reply, before: tuple[Attempt, ...]
) -> Answered:
    try:
        head = checked(reply)
    except APIError as error:
        if send.request.once and error.should_retry is None and not _surely_refused(error):
            error.should_retry = False
            error.hint = error.hint or "It may have been accepted, so it is not submitted again."
        raise
    reading = Reading(reply.body, head.content_type, dict(head.headers))
    if not send.request.once and (told := told_failure(reading)) is not None:
        raise told  # what is wrong with a job, its form says
    last = record.attempt(len(before) + 1, send, reply, None, journey.began)
    return Answered(reading, send.target, (*before, last), reply.ended)


def _surely_refused(error: APIError) -> bool:
    """Tell whether a job was surely not accepted: a second one would cost a second time."""
    if isinstance(error, APIConnectionError) and error.status is None:
        return not error.sent
    return isinstance(error, (RateLimitError, ServiceUnavailableError))


def wish_for(call: TaskCall, target: Target) -> Wish:
    """Return what a shape writes a call from."""
    return Wish(
        task=call.task,
        model=target.model,
        inputs=call.inputs,
        parameters=call.parameters,
        extra_body=call.extra_body,
        lora=target.lora,
        download=call.download,
    )


def _shape(target: Target) -> Shape:
    return _route(target).shape


def _route(target: Target) -> Route:
    return cast("Route", target.route)  # only a chat's target has none


def _request_id(answered: Answered) -> str | None:
    return answered.attempts[-1].request_id if answered.attempts else None


def _with_receipt(journey: Journey[TaskCall], answered: Answered, result: Any, now: float) -> Any:
    receipt = record.task_receipt(
        answered.attempts,
        answered.target,
        str(journey.call.model),
        result,
        ended=now,
        began=journey.began,
    )
    if isinstance(result, Items):
        return Items(result, receipt)
    return msgspec.structs.replace(result, receipt=receipt)
