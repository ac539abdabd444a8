"""Every recorded exchange of a task goes through our public functions, to what it was recorded for.

Not streams, and not what no function of ours would ask for: that is listed with its reason.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from recordings import artifacts, digest, needs_recordings, tasks
from task_plans import ELSEWHERE, Plan, plans
from task_replay import Outcome, counts, head_of, outcome, outcome_async
from task_substance import check
from test_pipeline_recordings import UNREADABLE

from trunkline import errors
from trunkline.types.results import Items
from trunkline.wire.message import HttpRequest

pytestmark = [needs_recordings, pytest.mark.usefixtures("no_login")]
PLANS = plans()
every_plan = pytest.mark.parametrize("plan", PLANS, ids=str)

COLLECTION = "6050eb254cf7736f"
"""The collection that was counted; of another only what holds for each exchange is asserted."""
COUNTED = digest(tasks()) == COLLECTION
counted = pytest.mark.skipif(not COUNTED, reason="another collection of recordings")

OUTCOMES: dict[tuple[str, str], dict[str, int]] = {
    ("black-forest-labs", "text-to-image"): {"ImageResponse": 8, "JobUnfinishedError": 4},
    ("fal-ai", "automatic-speech-recognition"): {"BadRequestError": 1, "Transcription": 2},
    ("fal-ai", "text-to-image"): {
        "ImageResponse": 27,
        "InvalidResponseError": 1,
        "NotFoundError": 1,
        "UnprocessableEntityError": 5,
    },
    ("fal-ai", "text-to-video"): {"Media": 7},
    ("hf-inference", "audio-classification"): {"BadRequestError": 1, "Items of Label": 4},
    ("hf-inference", "audio-to-audio"): {
        "BadRequestError": 1,
        "InvalidResponseError": 4,
        "Items of AudioPart": 1,
    },
    ("hf-inference", "automatic-speech-recognition"): {
        "BadRequestError": 1,
        "InvalidResponseError": 2,
        "Transcription": 5,
    },
    ("hf-inference", "conversational-legacy"): {"TextCompletion": 8, "UnsupportedParamsError": 3},
    ("hf-inference", "document-question-answering"): {
        "Items of Answer": 10,
        "ModelLoadingError": 2,
    },
    ("hf-inference", "error-model-not-found"): {"NotFoundError": 7},
    ("hf-inference", "feature-extraction"): {"EmbeddingResponse": 38, "ModelLoadingError": 4},
    ("hf-inference", "fill-mask"): {"Items of Filling": 14},
    ("hf-inference", "image-classification"): {"InvalidResponseError": 1, "Items of Label": 10},
    ("hf-inference", "image-segmentation"): {"Items of Segment": 5, "ModelLoadingError": 2},
    ("hf-inference", "image-to-image"): {"InvalidResponseError": 4},
    ("hf-inference", "image-to-text"): {"TextOutput": 2},
    ("hf-inference", "object-detection"): {"Items of Detection": 5},
    ("hf-inference", "question-answering"): {
        "BadRequestError": 2,
        "Items of Answer": 7,
        "RateLimitError": 1,
        "ServiceUnavailableError": 1,
    },
    ("hf-inference", "sentence-similarity"): {
        "BadRequestError": 2,
        "Items of float": 23,
        "ModelLoadingError": 2,
    },
    ("hf-inference", "summarization"): {"TextOutput": 10},
    ("hf-inference", "table-question-answering"): {"Items of TableAnswer": 9},
    ("hf-inference", "tabular-classification"): {"Items of int": 1},
    ("hf-inference", "tabular-regression"): {"Items of float": 2},
    ("hf-inference", "text-classification"): {
        "Items of Items": 2,
        "Items of Label": 11,
        "ModelLoadingError": 2,
    },
    ("hf-inference", "text-generation"): {
        "BadRequestError": 1,
        "ContextWindowExceededError": 6,
        "InvalidResponseError": 1,
        "TextCompletion": 57,
        "UnprocessableEntityError": 5,
        "UnsupportedParamsError": 6,
    },
    ("hf-inference", "text-to-image"): {"ImageResponse": 8, "InvalidResponseError": 10},
    ("hf-inference", "text-to-speech"): {
        "InvalidResponseError": 6,
        "Media": 3,
        "ModelLoadingError": 3,
    },
    ("hf-inference", "token-classification"): {"Items of Entity": 10, "ModelLoadingError": 2},
    ("hf-inference", "translation"): {"Items of TextOutput": 4, "TextOutput": 13},
    ("hf-inference", "visual-question-answering"): {"Items of Answer": 15},
    ("hf-inference", "zero-shot-classification"): {"Items of Items": 5, "Items of Label": 8},
    ("hf-inference", "zero-shot-image-classification"): {"Items of Label": 1},
    ("hyperbolic", "text-to-image"): {
        "ImageResponse": 6,
        "ModelNotSupportedError": 1,
        "UnprocessableEntityError": 2,
    },
    ("nebius", "text-to-image"): {"ImageResponse": 2},
    ("replicate", "text-to-image"): {"ImageResponse": 12, "UnprocessableEntityError": 2},
    ("replicate", "text-to-speech"): {"JobUnfinishedError": 1, "Media": 4},
    ("replicate", "text-to-video"): {"Media": 2},
    ("sambanova", "feature-extraction"): {"EmbeddingResponse": 2},
    ("together", "text-generation"): {"BadRequestError": 1, "TextCompletion": 3},
    ("together", "text-to-image"): {"BadRequestError": 1, "ImageResponse": 8},
}
"""Exchanges by provider, task and what comes of them; a job's polls count, too."""

NOT_REPLAYED = {"model-list": 1, "cohere-native-chat": 7, "cohere-native-embed": 4, "tokenize": 1}
"""Exchanges that no function of ours makes: why, see ELSEWHERE."""

ASKED_OTHERWISE = {
    "automatic-speech-recognition": 2,  # a file's bytes go out as they are; a "=" too many
    "conversational-legacy": 6,  # of a conversation we send the last text
    "image-classification": 1,  # a file's bytes go out as they are
    "question-answering": 3,  # questions without their context, which were refused
    "sentence-similarity": 3,  # one sentence under two names; two requests that were refused
    "text-generation": 1,  # a conversation that was refused
}
"""Recorded inputs that our functions do not take, or write in another form."""

ENDLESS = {"11267942ad8a54c5", "259f0c9c156d466f"}
"""Jobs whose last answer was not recorded: they are given up."""
CUT_OFF = {"2b383b2da0aa8ab2"}
"""Answers of other providers than hf-inference that were cut off by who recorded them."""


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@every_plan
def test_a_good_answer_becomes_a_result_that_holds_what_came(plan: Plan):
    found = outcome(plan)
    if _fails(plan):
        assert found.error is not None
        return
    assert found.error is None
    check(found.result, plan)
    receipt = found.result.receipt
    (attempt,) = receipt.attempts or [None]
    assert receipt.provider == (None if plan.served else plan.first.provider)
    assert receipt.called == f"{'openai' if plan.served else 'huggingface'}/{plan.model}"
    if plan.job is None:
        assert (attempt.status, attempt.model) == (plan.first.status, plan.named)
        assert receipt.request_id == attempt.request_id == head_of(plan.first).request_id


@every_plan
def test_a_bad_answer_becomes_an_error_of_its_class_that_says_where(plan: Plan):
    error = outcome(plan).error
    if not _fails(plan):
        assert error is None
        return
    assert error is not None
    assert error.provider == (None if plan.served else plan.first.provider)
    assert plan.named in (error.model or "") or error.job is not None
    if plan.last.status >= 400:
        assert isinstance(error, errors.class_for_status(plan.last.status))
        assert error.status == plan.last.status
    elif plan.first.id in ENDLESS:
        assert type(error) is errors.JobUnfinishedError
        assert error.job is not None
        return
    else:
        assert type(error) is errors.InvalidResponseError
        assert error.body == plan.last.body[:2000].decode()
    assert error.request_id == head_of(plan.first).request_id
    assert [attempt.status for attempt in error.attempts] == [plan.first.status]


@every_plan
def test_the_awaiting_client_comes_to_the_same_end(plan: Plan, runner: asyncio.Runner):
    expected, found = outcome(plan), outcome_async(plan, runner)
    assert _said(found) == _said(expected)
    for kind in ("questions", "fetched", "sent"):
        requests = [_seen(one) for one in getattr(found.script, kind)]
        others = [_seen(one) for one in getattr(expected.script, kind)]
        assert requests[:3] == others[:3]


@every_plan
def test_the_hub_is_asked_once_where_it_has_to_be(plan: Plan):
    asked = outcome(plan).script.questions
    mapped = plan.first.provider != "hf-inference" and plan.job is None
    assert len(asked) == mapped


@every_plan
def test_the_credential_goes_to_whom_it_is_for_and_not_to_a_file(plan: Plan):
    script, token = outcome(plan).script, plan.options["token"]
    assert script.sent
    for request in script.sent:
        carried = [value for name, value in request.headers if token in value]
        assert len(carried) == 1
    for request in script.questions:
        assert any(token in value for _, value in request.headers) is token.startswith("hf_")
    for request in script.fetched:
        assert not any(token in value for _, value in request.headers)
        assert {name for name, _ in request.headers} == {"accept", "accept-encoding", "user-agent"}


@counted
def test_what_was_asked_is_asked_again_where_it_was_kept_and_we_would_ask_it():
    wishes = [
        (plan.first.task, _wish(plan.first.asked), _wish(outcome(plan).script.sent[0].body))
        for plan in PLANS
        if plan.job is None
    ]
    kept = [(task, asked, again) for task, asked, again in wishes if asked is not None]
    others = [(task, asked, again) for task, asked, again in kept if asked != again]
    assert (len(wishes), len(kept), len(others)) == (466, 350, 16)
    assert Counter(task for task, *_ in others) == ASKED_OTHERWISE


@counted
def test_the_outcomes_are_these():
    found: dict[tuple[str, str], dict[str, int]] = {}
    for (provider, task, kind), number in counts(PLANS).items():
        found.setdefault((provider, task), {})[kind] = number
    assert found == OUTCOMES


@counted
def test_every_recorded_exchange_is_replayed_or_listed():
    replayed = [exchange for plan in PLANS for exchange in plan.exchanges]
    assert len({exchange.id for exchange in replayed}) == len(replayed)
    left = [exchange for exchange in tasks() if exchange not in replayed]
    assert Counter(exchange.task for exchange in left) == NOT_REPLAYED
    assert set(NOT_REPLAYED) == set(ELSEWHERE)
    assert (len(replayed), len(left)) == (476, 13)


@counted
def test_the_recorded_files_are_fetched_where_their_answers_were_kept():
    fetched = {str(one.url) for plan in PLANS for one in outcome(plan).script.fetched}
    assert len(fetched & set(artifacts())) == 45
    assert len(fetched) == 56


def _wish(body: str | bytes) -> Any:
    """Return what a JSON body asks about; None for another one."""
    try:
        asked = json.loads(body or "null")
    except ValueError:
        return None
    if not isinstance(asked, dict):
        return None
    within = asked.get("input")
    fields = {**asked, **(within if isinstance(within, dict) else {})}
    names = ("prompt", "text", "inputs", "input", "audio_url")
    return next((fields[name] for name in names if fields.get(name)), None)


def _fails(plan: Plan) -> bool:
    known = {*UNREADABLE, *ENDLESS, *CUT_OFF}
    return plan.last.status >= 400 or plan.first.id in known


def _said(found: Outcome) -> Any:
    """Return what came of a call, but for what depends on the clock and the number of polls."""
    error, result = found.error, found.result
    if error is not None:
        names = ("message", "status", "request_id", "provider", "model", "code", "hint", "body")
        return found.kind, [getattr(error, name) for name in names]
    if isinstance(result, Items):
        return found.kind, result.model_dump()
    return found.kind, {**result.model_dump(), "receipt": None}


def _seen(request: HttpRequest) -> tuple[Any, ...]:
    return request.method, str(request.url), request.headers, request.body
