"""Telling how a job goes, taking it up again and cancelling it, driven by hand."""

from __future__ import annotations

from typing import Any

import pytest
from hand import START, TOKEN, Hand, Outcome, answers, fails, silent
from job_hand import BY_NAME, FAL, REPLICATE, WAVESPEED, all_of, base, carry, each
from task_hand import KEY, asked, carry_task, header

from job_forms import PNG, Form
from trunkline import errors
from trunkline.errors import APIConnectionError, InvalidInputError
from trunkline.types.job import Job, JobProgress


def job_of(form: Form, model: str | None = None) -> Job:
    path = form.poll.replace("/status?_subdomain=queue", "")
    return Job(form.provider, form.task, model or form.model, "id", path)


def resume(hand: Hand, form: Form, job: Job | None = None, **options: Any) -> Any:
    if form.direct:
        options = {"secret": KEY, "places": {"explicit": True}, **options}
    job = job or job_of(form)
    return carry_task(hand, form.task, None, **{"model": job.model, "job": job, **options})


# telling


@each
def test_progress_is_told_at_acceptance_and_after_each_poll(form: Form) -> None:
    told: list[tuple[JobProgress, int]] = []
    hand = Hand(*all_of(form))
    carry(hand, form, on_progress=lambda p: told.append((p, len(hand.sends))))
    assert [p.polls for p, _ in told] == [0, 1, 2]
    assert told[0][1] == 1  # before the first poll
    assert {p.job.provider for p, _ in told} == {form.provider}
    assert len({str(p.job) for p, _ in told}) == 1
    assert [p.seconds for p, _ in told] == sorted(p.seconds for p, _ in told)
    assert told[0][0].seconds == 1.0


def test_states_and_places_in_the_queue_are_the_providers_own() -> None:
    told: list[JobProgress] = []
    said = [FAL.accepted, *FAL.pending, {"status": "IN_QUEUE", "queue_position": True}, FAL.done]
    hand = Hand(*(answers(body=one) for one in said), answers(body=FAL.fetched))
    hand.outcomes.append(answers(body=PNG))
    carry(hand, FAL, on_progress=told.append)
    assert [(p.state, p.position) for p in told] == [
        ("IN_QUEUE", 2),
        ("IN_QUEUE", 1),
        ("IN_PROGRESS", None),
        ("IN_QUEUE", None),
    ]


def test_a_job_whose_provider_tells_no_state_was_submitted() -> None:
    told: list[JobProgress] = []
    together = BY_NAME["together"]
    hand = Hand(answers(body=together.accepted), answers(404, b""))
    with pytest.raises(errors.JobLostError):
        carry(hand, together, on_progress=told.append)
    assert told[0].state == "submitted"


class Enough(Exception):
    """What a caller raises."""


def stop_at(polls: int, kind: type[BaseException] = Enough) -> Any:
    def tell(progress: JobProgress) -> None:
        if progress.polls == polls:
            raise kind("enough")

    return tell


@pytest.mark.parametrize("polls", [0, 2])
@pytest.mark.parametrize("kind", [Enough, KeyboardInterrupt, errors.APIError, StopIteration])
@pytest.mark.parametrize(
    ("form", "cancelled"),
    [
        (FAL, "PUT https://router.example/fal-ai/fal-ai/flux/requests/r-1/cancel?_subdomain=queue"),
        (REPLICATE, "POST https://router.example/replicate/v1/predictions/p1/cancel"),
        (WAVESPEED, None),
    ],
)
def test_what_the_callback_raises_is_raised_and_the_job_cancelled(
    form: Form, cancelled: str | None, kind: type[BaseException], polls: int
) -> None:
    pending = [answers(body=one) for one in form.pending[:polls]]
    hand = Hand(answers(body=form.accepted), *pending, answers(202, {"status": "ok"}))
    with pytest.raises(RuntimeError if kind is StopIteration else kind, match=r"enough|Stop"):
        carry(hand, form, on_progress=stop_at(polls, kind))
    assert asked(hand)[polls + 1 :] == ([cancelled] if cancelled else [])


@pytest.mark.parametrize(
    "outcome",
    [
        answers(500, b""),
        answers(401, b""),
        answers(404, b""),
        answers(429, b"", retry_after="60"),
        fails(APIConnectionError("refused")),
        silent(),
    ],
)
def test_cancelling_that_fails_hides_nothing_and_is_tried_once_for_a_moment(
    outcome: Outcome,
) -> None:
    hand = Hand(answers(body=FAL.accepted), outcome)
    with pytest.raises(Enough):
        carry(hand, FAL, on_progress=stop_at(0))
    assert len(hand.sends) == 2
    assert hand.now <= START + 1 + 10


def test_a_job_that_took_longer_than_one_request_may_is_cancelled_all_the_same() -> None:
    hand = Hand(answers(body=FAL.accepted), *[answers(body=FAL.pending[1])] * 300)

    def tell(progress: JobProgress) -> None:
        if progress.seconds > 700:
            hand.outcomes[:] = [answers(202, b"")]
            raise Enough

    with pytest.raises(Enough):
        carry(hand, FAL, on_progress=tell)
    last = hand.sends[-1]
    assert last.request.method == "PUT"
    assert last.until == pytest.approx(hand.now - 1 + 10)


# taking up again


@each
def test_a_job_is_taken_up_where_it_is_at_once(form: Form) -> None:
    said = [form.pending[1], form.done, *([] if form.fetched is None else [form.fetched])]
    hand = Hand(*(answers(body=one) for one in said), answers(body=form.file))
    result = resume(hand, form)
    assert (result if form.file != PNG else result.image).content == form.file
    assert asked(hand)[:2] == [f"GET {base(form)}/{form.poll}"] * 2
    assert hand.needs[0] is hand.sends[0]  # no wait before
    assert result.receipt.provider == form.provider
    assert result.receipt.attempts == ()


def test_a_job_of_a_model_whose_provider_was_chosen_is_taken_up_at_that_provider() -> None:
    told: list[JobProgress] = []
    hand = Hand(answers(body=FAL.accepted), answers(404, b""))
    with pytest.raises(errors.JobLostError):
        carry_task(hand, model="huggingface/org/m", served=FAL.served, on_progress=told.append)
    job = told[0].job
    assert (job.provider, job.model) == ("fal-ai", "huggingface/org/m")
    hand = Hand(answers(body=FAL.done), answers(body=FAL.fetched), answers(body=PNG))
    assert resume(hand, FAL, job).image.content == PNG
    assert hand.sends[0].request.url.target.startswith("/fal-ai/fal-ai/flux/requests/r-1/status")


def test_a_policy_in_the_model_string_does_not_matter_any_more() -> None:
    job = job_of(FAL, "huggingface/org/m:preferred")
    hand = Hand(answers(body=FAL.done), answers(body=FAL.fetched), answers(body=PNG))
    assert resume(hand, FAL, job).image.content == PNG


def test_with_a_providers_own_key_a_job_is_asked_after_at_the_provider() -> None:
    hand = Hand(answers(body=FAL.done), answers(body=FAL.fetched), answers(body=PNG))
    resume(hand, FAL, secret=KEY, places={"explicit": True})
    assert asked(hand)[0] == "GET https://queue.fal.run/fal-ai/flux/requests/r-1/status"
    assert header(hand.sends[0], "authorization") == f"Key {KEY.value}"


@pytest.mark.parametrize("cancel", [False, True])
def test_a_job_is_not_asked_after_on_a_server_of_ones_own(cancel: bool) -> None:
    places = {"api_base": "http://10.0.0.1:8080", "explicit": True}
    with pytest.raises(InvalidInputError, match="The job is at fal-ai"):
        resume(Hand(), FAL, secret=KEY, places=places, cancel=cancel)


@pytest.mark.parametrize(
    ("provider", "task", "kind", "said"),
    [
        ("nowhere", "text-to-image", errors.ModelNotSupportedError, "known here"),
        ("together", "summarization", errors.ModelNotSupportedError, "does not serve"),
        ("fal-ai", "nonsense", errors.ModelNotSupportedError, "does not serve"),
        ("fal-ai", "conversational", errors.ModelNotSupportedError, "does not serve"),
        ("fal-ai", "text-to-speech", InvalidInputError, "has no jobs"),
    ],
)
def test_a_job_that_no_provider_can_have_is_refused(
    provider: str, task: str, kind: type[errors.APIError], said: str
) -> None:
    job = Job(provider, task, "org/m", "id", "path")
    with pytest.raises(kind, match=said):
        carry_task(Hand(), task, None, model="org/m", job=job)


def test_without_a_token_no_job_is_asked_after() -> None:
    with pytest.raises(errors.AuthenticationError):
        resume(Hand(), FAL, secret=None)


def test_a_result_that_cannot_be_fetched_is_fetched_by_resuming() -> None:
    hand = Hand(answers(body=WAVESPEED.done), answers(403, {"error": "expired"}))
    with pytest.raises(errors.PermissionDeniedError) as caught:
        resume(hand, WAVESPEED)
    assert caught.value.job == job_of(WAVESPEED)
    assert "resume_job(" in str(caught.value)


# cancelling


def cancel(hand: Hand, form: Form, **options: Any) -> Any:
    return resume(hand, form, cancel=True, **options)


def test_cancelling_is_true_where_the_provider_takes_it() -> None:
    hand = Hand(answers(202, b""))
    assert cancel(hand, FAL) is True
    url = "https://router.example/fal-ai/fal-ai/flux/requests/r-1/cancel?_subdomain=queue"
    assert asked(hand) == [f"PUT {url}"]
    assert header(hand.sends[0], "authorization") == f"Bearer {TOKEN.value}"
    hand = Hand(answers(200, {"status": "canceled"}))
    assert cancel(hand, REPLICATE) is True


@pytest.mark.parametrize("status", [400, 404, 405, 409, 410, 422])
def test_cancelling_is_false_where_it_is_too_late(status: int) -> None:
    assert cancel(Hand(answers(status, {"status": "ALREADY_COMPLETED"})), FAL) is False


def test_cancelling_is_false_where_there_is_no_way_to() -> None:
    hand = Hand()
    assert cancel(hand, WAVESPEED) is False
    assert hand.sends == []


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [
        (answers(401, b""), errors.AuthenticationError),
        (answers(402, b""), errors.PaymentRequiredError),
        (answers(403, b""), errors.PermissionDeniedError),
        (answers(429, b""), errors.RateLimitError),
        (answers(500, b""), errors.InternalServerError),
        (answers(503, b""), errors.ServiceUnavailableError),
        (fails(APIConnectionError("refused")), APIConnectionError),
    ],
)
def test_cancelling_raises_where_nobody_knows_what_became_of_it(
    outcome: Outcome, kind: type[errors.APIError]
) -> None:
    with pytest.raises(kind) as caught:
        cancel(Hand(outcome, outcome, outcome), FAL)
    assert caught.value.job == job_of(FAL)


def test_cancelling_is_tried_again_when_its_answer_is_lost() -> None:
    lost = fails(APIConnectionError("reset"), sent=True, received=True)
    assert cancel(Hand(lost, answers(200, b"")), FAL) is True


# in the sandbox


@pytest.mark.parametrize("model", ["sandbox/fal-ai/org/m", "sandbox/any"])
def test_a_job_of_the_sandbox_is_taken_up_there(model: str) -> None:
    image = {"images": [{"url": "sandbox://sandbox/files/1.png"}]}
    hand = Hand(answers(body=FAL.done), answers(body=image), answers(body=PNG))
    result = resume(hand, FAL, job_of(FAL, model), secret=None)
    assert result.image.content == PNG
    assert asked(hand) == [
        "GET sandbox://sandbox/fal-ai/fal-ai/flux/requests/r-1/status?_subdomain=queue",
        "GET sandbox://sandbox/fal-ai/fal-ai/flux/requests/r-1?_subdomain=queue",
        "GET sandbox://sandbox/files/1.png",
    ]
