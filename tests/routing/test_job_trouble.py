"""What goes wrong while a job is submitted or followed, driven by hand: it is never paid for twice."""

from __future__ import annotations

from typing import Any

import pytest
from hand import START, TOKEN, Hand, Outcome, answers, fails
from job_hand import FAL, WAVESPEED, all_of, carry, each, error_of, file_of
from task_hand import asked, carry_task, header, task_ask

from job_forms import PNG, Form
from trunkline import errors
from trunkline.errors import APIConnectionError, Timeout
from trunkline.providers.engines import Engines, Seekers
from trunkline.routing.needs import Send, Wait
from trunkline.routing.task_flow import ask_flow
from trunkline.types import Secret
from trunkline.types.job import JobProgress


def through(*polls: Outcome, form: Form = WAVESPEED, **options: Any) -> tuple[Hand, Any]:
    """Have a job accepted, polled with these answers and then done."""
    hand = Hand(answers(body=form.accepted), *polls, answers(body=form.done), file_of(form))
    return hand, carry(hand, form, **options)


LOST = [
    fails(APIConnectionError("refused")),
    fails(APIConnectionError("reset"), sent=True),
    fails(APIConnectionError("cut off"), sent=True, received=True),
    fails(Timeout("silence"), sent=True, takes=60.0),
    answers(502, b"<html><title>Bad gateway</title></html>", content_type="text/html"),
    answers(503, {"error": "busy"}),
    answers(504, b""),
]


@pytest.mark.parametrize("trouble", LOST)
def test_a_poll_that_brings_nothing_is_made_again(trouble: Outcome) -> None:
    hand, result = through(trouble, trouble)
    assert result.image.content == PNG
    assert len(set(asked(hand)[1:-1])) == 1
    assert len(hand.sends) == 5


@pytest.mark.parametrize("trouble", LOST)
def test_when_no_poll_brings_anything_the_error_says_how_to_go_on(trouble: Outcome) -> None:
    hand = Hand(answers(body=WAVESPEED.accepted), trouble, trouble, trouble)
    error = error_of(hand, WAVESPEED)
    assert not isinstance(error, errors.JobError)
    assert error.job is not None
    assert f"resume_job({str(error.job)!r})" in str(error)
    assert len(error.attempts) == 3


@pytest.mark.parametrize("status", [400, 403, 402, 500])
def test_a_refused_poll_says_nothing_of_the_job(status: int) -> None:
    hand = Hand(answers(body=WAVESPEED.accepted), answers(status, {"error": "no"}))
    error = error_of(hand, WAVESPEED)
    assert not isinstance(error, errors.JobError)
    assert error.job is not None and error.status == status


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"data": '])
def test_a_poll_that_is_no_json_is_an_error_with_the_job(body: bytes) -> None:
    hand = Hand(answers(body=WAVESPEED.accepted), answers(body=body))
    error = error_of(hand, WAVESPEED)
    assert isinstance(error, errors.InvalidResponseError)
    assert error.job is not None and error.provider == "wavespeed"


@pytest.mark.parametrize("body", [[], {}, {"data": None}, {"data": {"status": 7}}, 3])
def test_a_poll_that_tells_no_state_is_taken_for_pending(body: Any) -> None:
    _, result = through(answers(body=body))
    assert result.image.content == PNG


def test_a_limit_on_polls_is_kept_to() -> None:
    hand, _ = through(answers(429, {"error": "slow down"}, retry_after="30"))
    assert hand.waits == [0.5, 30.0]


def test_a_token_that_is_replaced_while_polling_is_the_one_from_then_on() -> None:
    fresh = Secret("hf_second", "the environment variable HF_TOKEN")
    hand = Hand(
        answers(body=FAL.accepted),
        answers(401, {"error": "expired"}),
        *(answers(body=one) for one in (*FAL.pending, FAL.done, FAL.fetched)),
        file_of(FAL),
        fresh=fresh,
    )
    carry(hand, FAL)
    tokens = [header(send, "authorization") for send in hand.sends[:-1]]
    assert tokens == [f"Bearer {TOKEN.value}"] * 2 + ["Bearer hf_second"] * 4


def test_a_token_that_is_refused_for_good_ends_the_call_and_not_the_job() -> None:
    error = error_of(Hand(answers(body=FAL.accepted), answers(401, {"error": "no"})), FAL)
    assert isinstance(error, errors.AuthenticationError)
    assert error.job is not None


def test_interrupting_a_wait_leaves_the_job_alone() -> None:
    told: list[JobProgress] = []
    ask = task_ask(served=FAL.served, on_progress=told.append)
    flow: Any = ask_flow(ask, Seekers(Engines(), ""))
    need = next(flow)
    assert isinstance(need, Send)
    need = flow.send(answers(body=FAL.accepted)(need, START))
    assert isinstance(need, Wait)
    flow.close()  # as drivers do; a flow that asked for anything more would raise RuntimeError
    assert len(told) == 1


# one job is one job

NOT_AGAIN = [
    fails(APIConnectionError("reset"), sent=True),
    fails(APIConnectionError("cut off"), sent=True, received=True),
    fails(Timeout("silence"), sent=True),
    answers(408, b""),
    answers(500, b""),
    answers(502, b""),
    answers(504, b""),
    answers(524, b""),
]
AGAIN = [
    fails(APIConnectionError("refused")),
    fails(Timeout("no connection")),
    answers(429, b""),
    answers(503, b""),
    answers(503, {"error": "loading", "estimated_time": 3.0}),
    answers(502, b"", x_should_retry="true"),
]


@each
@pytest.mark.parametrize("outcome", NOT_AGAIN)
def test_a_job_that_may_have_been_accepted_is_not_submitted_again(
    form: Form, outcome: Outcome
) -> None:
    hand = Hand(outcome)
    error = error_of(hand, form)
    assert len(error.attempts) == 1
    assert hand.sends[0].request.once


@each
@pytest.mark.parametrize("outcome", AGAIN)
def test_a_job_that_was_surely_not_accepted_is_submitted_again(
    form: Form, outcome: Outcome
) -> None:
    hand = Hand(outcome, *all_of(form))
    result = carry(hand, form)
    assert [a.number for a in result.receipt.attempts] == [1, 2]


def test_a_lost_answer_to_a_submission_says_why_it_is_not_repeated() -> None:
    error = error_of(Hand(fails(APIConnectionError("reset"), sent=True)), FAL)
    assert "may have been accepted" in str(error)


def test_an_answer_that_comes_at_once_is_asked_for_again_as_ever() -> None:
    lost = fails(APIConnectionError("reset"), sent=True)
    label = [{"label": "good", "score": 0.9}]
    hand = Hand(lost, answers(body=label))
    model = "huggingface/hf-inference/org/m"
    result = carry_task(hand, "text-classification", "fine", model=model)
    assert result[0].label == "good"
    assert not hand.sends[0].request.once
