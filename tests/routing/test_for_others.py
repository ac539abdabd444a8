"""Calls that are made for somebody else: nothing passed over, nothing fetched unasked, nobody waited for."""

from __future__ import annotations

from typing import Any

import pytest
from hand import Hand, answers
from job_hand import FAL, all_of, carry, each, error_of
from task_hand import KEY, asked, carry_task

from job_forms import PNG, Form
from trunkline import errors
from trunkline.errors import (
    InvalidInputError,
    ModelNotSupportedError,
    UnsupportedParamsError,
)
from trunkline.providers.mapping import Serving
from trunkline.providers.task_table import find_route, providers_of
from trunkline.providers.unsaid import unsaid
from trunkline.routing.files import with_blobs
from trunkline.types.job import JobAccepted, JobLook
from trunkline.types.media import Blob
from trunkline.types.results import ImageResponse, Transcription
from trunkline.types.tasks import TASKS

SOUND = Blob(b"RIFF", "audio/wav", None, "a.wav")
FAR = Blob(b"", "image/png", "https://files.example.org/a.png")
BYTES_ONLY: dict[str, Any] = {"model": "hf-inference/org/m", "task": "image-to-image"}


def edit(hand: Hand, url: str, **more: Any) -> ImageResponse:
    blob = Blob(b"", "image/png", url)
    options = {"model": "huggingface/hf-inference/org/m", "inputs_from": "public", **more}
    result: ImageResponse = carry_task(hand, "image-to-image", blob, **options)
    return result


# parameters


@pytest.mark.parametrize("task", TASKS)
def test_what_a_provider_has_no_word_for_is_known_of_its_tasks_alone(task: str) -> None:
    for provider in providers_of(task):
        assert find_route(provider, task) is not None
        assert "prompt" not in unsaid(provider, task) or task == "automatic-speech-recognition"
    assert unsaid(None, task) == unsaid("openai", task) == frozenset()


@pytest.mark.parametrize(
    ("provider", "task", "names"),
    [
        ("fal-ai", "text-to-image", {"quality", "style"}),
        ("hf-inference", "text-to-image", {"n", "output_format", "quality"}),
        ("hf-inference", "text-to-speech", {"voice", "speed", "instructions"}),
        ("hf-inference", "automatic-speech-recognition", {"language", "timestamp_granularities"}),
        ("together", "text-to-video", {"user"}),
        ("fal-ai", "text-to-video", {"seconds", "target_size"}),
        ("zai-org", "text-to-image", {"n", "style"}),
    ],
)
def test_parameters_without_a_word_are_known(provider: str, task: str, names: set[str]) -> None:
    assert names <= unsaid(provider, task)


def test_a_strict_call_refuses_what_another_one_passes_on() -> None:
    hand = Hand()
    with pytest.raises(UnsupportedParamsError, match="'quality'") as caught:
        carry(hand, FAL, parameters={"quality": "hd"}, strict=True)
    assert hand.sends == []
    assert (caught.value.code, caught.value.body) == (
        "unsupported_parameter",
        {"error": {"param": "quality"}},
    )
    hand = Hand(*all_of(FAL))
    carry(hand, FAL, parameters={"quality": "hd"})
    assert b'"quality":"hd"' in (hand.sends[0].request.body or b"")


def test_a_size_is_named_as_the_caller_named_it() -> None:
    with pytest.raises(UnsupportedParamsError, match="'size'"):
        carry_task(
            Hand(),
            "text-to-video",
            "a cat",
            model="huggingface/replicate/org/m",
            served=(Serving("replicate", "own-name", "text-to-video", "live"),),
            parameters={"target_size": {"width": 1, "height": 1}},
            strict=True,
        )


# inputs by URL


@pytest.mark.parametrize(
    "url",
    [
        "http://files.example.org/a.png",
        "https://127.0.0.1/a",
        "https://localhost/a",
        "https://127.1/a",
    ],
)
def test_an_input_of_somebody_else_comes_from_public_servers_over_tls(url: str) -> None:
    hand = Hand()
    with pytest.raises(InvalidInputError, match="only https and public"):
        edit(hand, url)
    assert hand.sends == []


def test_a_public_input_is_fetched_without_a_credential_and_sent_as_bytes() -> None:
    hand = Hand(answers(body=PNG), answers(body=PNG, content_type="image/png"))
    edit(hand, "https://files.example.org/a.png")
    first, second = hand.sends
    assert first.request.public
    assert "authorization" not in dict(first.request.headers)
    assert second.request.body == PNG


@pytest.mark.parametrize("there", ["https://10.0.0.1/a", "http://files.example.org/b"])
def test_a_redirect_keeps_to_the_same_rules(there: str) -> None:
    hand = Hand(answers(302, b"", location=there))
    with pytest.raises(InvalidInputError, match="only https and public"):
        edit(hand, "https://files.example.org/a.png")
    assert len(hand.sends) == 1


def test_where_nothing_is_to_be_fetched_nothing_is() -> None:
    hand = Hand()
    with pytest.raises(InvalidInputError, match="not fetched by URL here"):
        edit(hand, "https://files.example.org/a.png", inputs_from="nowhere")
    assert hand.sends == []


def test_files_among_the_parameters_are_fetched_too() -> None:
    told = b'{"data": [{"b64_json": "iVBORw0KGgo="}]}'
    hand = Hand(
        answers(404, b"{}"),
        answers(body=PNG),
        answers(body=PNG),
        answers(body=told, content_type="application/json"),
    )
    carry_task(
        hand,
        "image-to-image",
        Blob(PNG, "image/png"),
        model="openai/m",
        places={"api_base": "https://server.example"},
        parameters={"mask": FAR, "more_images": (FAR,), "prompt": "p"},
    )
    assert [line.partition(" ")[2] for line in asked(hand)[1:3]] == [FAR.url, FAR.url]
    body = hand.sends[3].request.body or b""
    assert body.count(b'name="image[]"') == 2
    assert body.count(PNG) == 3


def test_blobs_are_exchanged_wherever_they_are() -> None:
    near = Blob(PNG, "image/png")
    found = with_blobs({"a": FAR, "b": (FAR, 1), "c": {"d": "x"}}, {id(FAR): near})
    assert found == {"a": near, "b": (near, 1), "c": {"d": "x"}}


# jobs


@each
def test_a_job_is_handed_back_when_it_was_accepted(form: Form) -> None:
    hand = Hand(answers(body=form.accepted))
    found = carry(hand, form, wait=False)
    assert isinstance(found, JobAccepted)
    assert (found.job.provider, found.job.task) == (form.provider, form.task)
    assert found.receipt is not None
    assert len(found.receipt.attempts) == len(hand.sends) == 1
    hand = Hand(answers(body=form.done), answers(body=form.fetched or form.done))
    look = carry_task(hand, form.task, None, **of_job(form, found.job), look=True)
    assert isinstance(look, JobLook)
    assert look.done


def of_job(form: Form, job: Any) -> dict[str, Any]:
    direct = {"secret": KEY, "places": {"explicit": True}} if form.direct else {}
    return {"model": job.model, "job": job, **direct}


@each
def test_a_job_is_asked_after_once(form: Form) -> None:
    accepted = carry(Hand(answers(body=form.accepted)), form, wait=False)
    hand = Hand(answers(body=form.pending[0]))
    look = carry_task(hand, form.task, None, **of_job(form, accepted.job), look=True)
    assert (look.done, bool(look.state)) == (False, True)
    assert len(hand.sends) == 1
    assert hand.waits == []


def test_a_job_that_failed_is_an_error_of_a_look() -> None:
    accepted = carry(Hand(answers(body=FAL.accepted)), FAL, wait=False)
    hand = Hand(answers(body={"status": "FAILED", "error": "out of memory"}))
    with pytest.raises(errors.JobFailedError, match="out of memory") as caught:
        carry_task(hand, FAL.task, None, **of_job(FAL, accepted.job), look=True)
    assert caught.value.job == accepted.job


def test_a_refused_submission_is_no_job() -> None:
    error = error_of(Hand(answers(400, b'{"error": "no"}')), FAL, wait=False)
    assert error.job is None


# translations


def test_speech_is_translated_beside_the_transcriptions_of_a_server() -> None:
    hand = Hand(answers(404, b"{}"), answers(body={"text": "Hello"}))
    found: Transcription = carry_task(
        hand,
        "automatic-speech-recognition",
        SOUND,
        model="openai/m",
        places={"api_base": "https://server.example/base?x=1"},
        parameters={"translate": True, "prompt": "p"},
    )
    assert found.text == "Hello"
    assert asked(hand)[1] == "POST https://server.example/base/v1/audio/translations?x=1"
    assert b"translate" not in (hand.sends[1].request.body or b"")


def test_a_transcription_that_is_not_to_be_translated_goes_where_it_did() -> None:
    hand = Hand(answers(404, b"{}"), answers(body={"text": "Hello"}))
    carry_task(
        hand,
        "automatic-speech-recognition",
        SOUND,
        model="openai/m",
        places={"api_base": "https://server.example"},
        parameters={"translate": False},
    )
    assert asked(hand)[1] == "POST https://server.example/v1/audio/transcriptions"


def test_a_provider_that_does_not_translate_says_so() -> None:
    hand = Hand()
    with pytest.raises(ModelNotSupportedError, match="hf-inference does not translate"):
        carry_task(
            hand,
            "automatic-speech-recognition",
            SOUND,
            model="huggingface/hf-inference/org/m",
            parameters={"translate": True},
        )
    assert hand.sends == []


# places


def test_openais_paths_lie_below_the_address_that_is_told() -> None:
    told = {
        "data": [{"b64_json": "iVBORw0KGgo="}],
        "usage": {"input_tokens": 3, "output_tokens": 4},
    }
    hand = Hand(answers(404, b"{}"), answers(body=told))
    places = {"api_base": "https://server.example/a", "address": "https://server.example/a/v9/"}
    found = carry_task(hand, "text-to-image", "a cat", model="openai/m", places=places)
    assert asked(hand) == [
        "GET https://server.example/a/info",
        "POST https://server.example/a/v9/images/generations",
    ]
    tokens = found.receipt.tokens
    assert (tokens.input, tokens.output, tokens.source) == (3, 4, "provider")


def test_a_provider_itself_is_found_at_the_address_that_is_told() -> None:
    hand = Hand(answers(body=FAL.accepted))
    places = {"explicit": True, "direct": True, "address": "https://proxy.example/fal"}
    carry(hand, FAL, secret=KEY, places=places, wait=False)
    assert asked(hand)[0].startswith("POST https://proxy.example/fal/")
