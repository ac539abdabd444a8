"""Jobs driven by hand: polls, their intervals, how jobs end, and what becomes of trouble between."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hand import START, TOKEN, Hand, Outcome, answers, silent
from job_hand import (
    BY_NAME,
    FAL,
    FILES,
    FORMS,
    REPLICATE,
    TOGETHER,
    WAVESPEED,
    all_of,
    base,
    carry,
    each,
    error_of,
    file_of,
)
from task_hand import ROUTER, asked, header

from job_forms import PNG, Form
from trunkline import errors
from trunkline.providers.task_table import find_route
from trunkline.routing.job_flow import LONGEST
from trunkline.types.job import Job


@each
def test_a_job_is_submitted_followed_and_its_file_fetched(form: Form) -> None:
    hand = Hand(*all_of(form))
    result = carry(hand, form)
    poll = f"GET {base(form)}/{form.poll}"
    fetched = [] if form.fetched is None else [poll.replace("/status", "")]
    first, *rest = asked(hand)
    assert first == f"POST {base(form)}/{form.submit}"
    assert rest[:-1] == [poll] * 3 + fetched
    assert rest[-1].startswith(f"GET {FILES}/made.")
    assert (result if form.file != PNG else result.image).content == form.file
    assert result.receipt.provider == form.provider
    assert [a.number for a in result.receipt.attempts] == [1]
    assert result.receipt.total_time == pytest.approx(hand.now - START)


@each
def test_the_token_goes_to_the_provider_and_not_to_the_files_server(form: Form) -> None:
    hand = Hand(*all_of(form))
    carry(hand, form, extra_headers={"cookie": "a=b", "x-hf-bill-to": "org"})
    *provider, file = hand.sends
    auth = "x-key" if form.direct else "authorization"
    assert all(header(send, auth) for send in provider)
    assert {send.request.url.host for send in provider} == {
        base(form).split("/")[2],
    }
    assert {name for name, _ in file.request.headers} == {"user-agent", "accept", "accept-encoding"}
    assert file.request.public


@each
def test_intervals_grow_up_to_a_limit(form: Form) -> None:
    hand = Hand(answers(body=form.accepted), *[answers(body=form.pending[1])] * 5000)
    error_of(hand, form)
    route = find_route(form.provider, form.task)
    assert route is not None and route.shape.job is not None
    *waits, _ = hand.waits  # the last is cut short by the end
    assert waits[0] == route.shape.job.first
    assert waits == sorted(waits)
    assert waits[-1] == route.shape.job.longest
    assert all(b <= 2 * a for a, b in pairwise(waits))


@each
def test_without_a_deadline_a_job_that_never_ends_is_followed_for_an_hour(form: Form) -> None:
    hand = Hand(answers(body=form.accepted), *[answers(body=form.pending[1])] * 5000)
    error = error_of(hand, form)
    assert isinstance(error, errors.JobUnfinishedError)
    assert "an hour" in str(error)
    assert LONGEST - 3 <= hand.now - START <= LONGEST


# time


@pytest.mark.parametrize("deadline", [1.5, 3.0, 10.0, 37.5, 7200.0])
def test_a_deadline_is_kept_to_the_second_and_used_up(deadline: float) -> None:
    polls = [answers(body=WAVESPEED.pending[1], takes=0.1)] * 3000
    hand = Hand(answers(body=WAVESPEED.accepted, takes=0.1), *polls)
    error = error_of(hand, WAVESPEED, deadline=deadline)
    assert isinstance(error, errors.JobUnfinishedError)
    assert isinstance(error, errors.DeadlineExceeded)
    assert f"{deadline:g} s" in error.message and "processing" in error.message
    assert deadline - 1.1 <= hand.now - START <= deadline


def test_a_job_that_is_not_done_in_time_can_be_resumed_as_the_error_says() -> None:
    hand = Hand(answers(body=FAL.accepted), *[answers(body=FAL.pending[1])] * 9)
    error = error_of(hand, FAL, deadline=6.0)
    assert error.job is not None
    assert f"resume_job({str(error.job)!r})" in str(error)
    assert (error.provider, error.model) == ("fal-ai", "huggingface/fal-ai/org/m")
    assert [attempt.status for attempt in error.attempts] == [200]


def test_a_poll_that_is_silent_until_the_deadline_is_a_job_unfinished() -> None:
    hand = Hand(answers(body=TOGETHER.accepted), silent())
    error = error_of(hand, TOGETHER, deadline=20.0)
    assert isinstance(error, errors.JobUnfinishedError)
    assert hand.now == START + 20.0
    assert isinstance(error.__cause__, errors.DeadlineExceeded)


def test_a_silent_poll_is_asked_again_after_a_minute() -> None:
    hand = Hand(answers(body=TOGETHER.accepted), silent(), answers(body=TOGETHER.done))
    hand.outcomes.append(file_of(TOGETHER))
    assert carry(hand, TOGETHER).content == TOGETHER.file
    polls = hand.sends[1:3]
    assert asked(hand)[1] == asked(hand)[2]
    assert polls[0].until == pytest.approx(START + 3 + 60)


def test_a_prediction_is_polled_when_the_provider_held_it_for_a_minute_without_a_result() -> None:
    held = {**REPLICATE.accepted, "status": "processing"}
    hand = Hand(answers(body=held, takes=60.0), answers(body=REPLICATE.done), file_of(REPLICATE))
    assert carry(hand, REPLICATE).image.content == PNG
    assert header(hand.sends[0], "prefer") == "wait"
    assert asked(hand)[1] == "GET https://router.example/replicate/v1/predictions/p1"


def test_a_prediction_that_has_its_output_at_once_is_not_polled() -> None:
    early = {**REPLICATE.done, "status": "processing"}
    hand = Hand(answers(201, early), file_of(REPLICATE))
    assert carry(hand, REPLICATE).image.content == PNG
    assert len(hand.sends) == 2


# how jobs end

FAILED_FAL = {"detail": "CUDA out of memory"}
MODERATED_FAL = {
    "detail": [{"loc": ["body"], "msg": "flagged", "type": "content_policy_violation"}]
}
JobEnd = tuple[str, list[Outcome], type[errors.JobError], str]


def wave(status: str, error: str = "") -> Outcome:
    return answers(body={"data": {"id": "w1", "status": status, "error": error}})


def replicated(status: str, error: str | None = None) -> Outcome:
    return answers(body={"id": "p1", "status": status, "error": error})


ENDS: list[JobEnd] = [
    ("fal-ai", [answers(body=FAL.done), answers(422, FAILED_FAL)], errors.JobFailedError, "CUDA"),
    ("fal-ai", [answers(body=FAL.done), answers(500, FAILED_FAL)], errors.JobFailedError, "CUDA"),
    ("fal-ai", [answers(body={"status": "ERROR", "error": "x"})], errors.JobFailedError, ": x"),
    (
        "fal-ai",
        [answers(body=FAL.done), answers(422, MODERATED_FAL)],
        errors.JobModeratedError,
        "flagged",
    ),
    (
        "fal-ai",
        [answers(body=FAL.done), answers(400, {"detail": "Request was cancelled"})],
        errors.JobCancelledError,
        "cancelled",
    ),
    ("fal-ai", [answers(404, {"detail": "no"})], errors.JobLostError, "does not know the job"),
    (
        "fal-ai",
        [answers(body=FAL.done), answers(404, {"detail": "no"})],
        errors.JobLostError,
        "know",
    ),
    ("replicate", [replicated("failed", "OOM")], errors.JobFailedError, "failed: OOM"),
    ("replicate", [replicated("failed")], errors.JobFailedError, "gives no reason"),
    ("replicate", [replicated("canceled")], errors.JobCancelledError, "was cancelled"),
    (
        "replicate",
        [replicated("failed", "NSFW content detected")],
        errors.JobModeratedError,
        "refused for its content: NSFW",
    ),
    ("wavespeed", [wave("failed", "no GPU")], errors.JobFailedError, "no GPU"),
    ("wavespeed", [wave("cancelled")], errors.JobCancelledError, "cancelled"),
    ("wavespeed", [wave("failed", "The task was canceled")], errors.JobCancelledError, "canceled"),
    (
        "together",
        [answers(body={"id": "t1", "status": "failed", "error": {"message": "worn out"}})],
        errors.JobFailedError,
        "worn out",
    ),
    ("together", [answers(410, {"error": "gone"})], errors.JobLostError, "gone"),
    (
        "zai-org",
        [answers(body={"task_status": "FAIL", "error": {"message": "sensitive content"}})],
        errors.JobModeratedError,
        "sensitive",
    ),
    (
        "black-forest-labs",
        [answers(body={"status": "Task not found"})],
        errors.JobLostError,
        "not known to the provider: Task not found",
    ),
    (
        "black-forest-labs",
        [answers(body={"status": "Request Moderated"})],
        errors.JobModeratedError,
        "Request Moderated",
    ),
    (
        "black-forest-labs",
        [answers(body={"status": "Error", "details": {"error": "no GPU"}})],
        errors.JobFailedError,
        "no GPU",
    ),
]


@pytest.mark.parametrize(("provider", "polls", "kind", "said"), ENDS)
def test_a_job_that_ends_badly_is_an_error_of_its_class(
    provider: str, polls: list[Outcome], kind: type[errors.JobError], said: str
) -> None:
    form = BY_NAME[provider]
    hand = Hand(answers(body=form.accepted, x_request_id="req-1"), *polls)
    error = error_of(hand, form)
    assert type(error) is kind
    assert said in error.message
    assert error.provider == provider and error.model and error.body is not None
    assert isinstance(error.job, Job) and error.job.provider == provider
    assert error.attempts and hand.outcomes == []


def test_a_job_that_failed_when_it_was_accepted_is_not_polled() -> None:
    hand = Hand(answers(body={**REPLICATE.accepted, "status": "failed", "error": "bad input"}))
    assert isinstance(error_of(hand, REPLICATE), errors.JobFailedError)


def test_a_job_that_is_done_without_a_result_is_an_error_with_the_job() -> None:
    empty = {"data": {"id": "w1", "status": "completed", "outputs": []}}
    error = error_of(Hand(answers(body=WAVESPEED.accepted), answers(body=empty)), WAVESPEED)
    assert isinstance(error, errors.InvalidResponseError)
    assert error.job is not None and error.provider == "wavespeed"


# what is believed


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/fal-ai/flux/requests/r-1",
        "http://169.254.169.254/fal-ai/flux/requests/r-1",
        "//evil.example/fal-ai/flux/requests/r-1",
        "/fal-ai/flux/requests/r-1",
    ],
)
def test_only_the_path_of_a_polling_address_is_believed(url: str) -> None:
    accepted = {**FAL.accepted, "response_url": url}
    hand = Hand(answers(body=accepted), answers(404, b""))
    error_of(hand, FAL)
    assert {send.request.url.authority for send in hand.sends} == {"router.example"}
    assert asked(hand)[1].startswith("GET https://router.example/fal-ai/")


@pytest.mark.parametrize(
    "url",
    [
        "https://queue.fal.run/../hf-inference/models/x",
        "https://queue.fal.run/%2e%2e/hf-inference",
        "https://queue.fal.run/a/%252e%252e/b",
        "https://queue.fal.run/a%5c..%5cb",
        "ftp://queue.fal.run/a",
        "not a url",
        7,
        None,
    ],
)
def test_a_polling_address_that_leads_elsewhere_is_an_error(url: Any) -> None:
    hand = Hand(answers(body={**FAL.accepted, "response_url": url}))
    error = error_of(hand, FAL)
    assert isinstance(error, errors.InvalidResponseError)
    assert error.provider == "fal-ai" and error.attempts
    assert len(hand.sends) == 1


def test_an_accepted_job_that_is_no_json_is_an_error_and_not_submitted_again() -> None:
    hand = Hand(answers(body=b"<html>"))
    error = error_of(hand, FAL)
    assert isinstance(error, errors.InvalidResponseError)
    assert error.provider == "fal-ai" and len(error.attempts) == 1


def test_an_id_that_is_no_text_becomes_one_and_is_quoted() -> None:
    hand = Hand(answers(body={"id": 12}), answers(404, b""))
    assert error_of(hand, TOGETHER).job == Job(
        "together", "text-to-video", TOGETHER.model, "12", "v2/videos/12"
    )
    hand = Hand(answers(body={"id": "a/../b?c#d"}))
    assert isinstance(error_of(hand, TOGETHER), errors.InvalidResponseError)


def test_forms_are_complete() -> None:
    """A provider that gets a queue has to be added above."""
    from trunkline.providers.queued import QUEUED

    known = {find_route(f.provider, f.task).shape.job for f in FORMS}  # type: ignore[union-attr]
    queued = {route.shape.job for tasks in QUEUED.values() for route in tasks.values()} - {None}
    assert queued == known


def test_a_job_is_small_enough_to_be_kept_and_holds_no_credential() -> None:
    hand = Hand(answers(body=FAL.accepted), answers(404, b""))
    job = error_of(hand, FAL).job
    assert job is not None
    assert TOKEN.value not in str(job) and len(str(job)) < 300
    assert msgspec.json.decode(msgspec.json.encode(job), type=Job) == job
    assert ROUTER not in str(job)
