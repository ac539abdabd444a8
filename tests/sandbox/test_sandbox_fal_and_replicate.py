"""fal and Replicate in the sandbox: answers at once and queues, in each one's own words."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from samples import b64, below, data_url, look, png, wav

from trunkline.sandbox import Reply
from trunkline.sandbox.models import MODELS

PICTURE = data_url(png())
FAL = "fal-ai/wan-t2v"
QUEUE = "?_subdomain=queue"


def said(reply: Reply) -> Any:
    return msgspec.json.decode(reply.body)


def fal(asker: Any, fault: str = "", model: str = FAL, **body: Any) -> tuple[Any, str]:
    headers = {"x_sandbox_fault": fault} if fault else {}
    reply = asker.post(f"/fal-ai/{model}{QUEUE}", body or {"prompt": "a dog"}, **headers)
    assert reply.status == 200, reply.body
    job = said(reply)
    return job, below("fal-ai", job["response_url"])


def test_fals_queue_tells_state_and_result_in_different_places(asker) -> None:
    job, place = fal(asker)
    assert (job["status"], job["queue_position"]) == ("IN_QUEUE", 0)
    assert place == f"/fal-ai/fal-ai/wan-t2v/requests/{job['request_id']}"
    early = asker.get(place + QUEUE)
    assert (early.status, said(early)) == (400, {"detail": "Request is still in progress"})
    states = [asker.get(f"{place}/status{QUEUE}") for _ in range(3)]
    assert [(reply.status, said(reply)["status"]) for reply in states] == [
        (202, "IN_QUEUE"),
        (202, "IN_PROGRESS"),
        (200, "COMPLETED"),
    ]
    video = said(asker.get(place + QUEUE))["video"]
    assert video["content_type"] == "video/mp4"
    assert video["url"].endswith(".mp4")


@pytest.mark.parametrize(
    ("fault", "status", "detail"),
    [
        ("job-failed", 500, "Generation failed: CUDA out of memory"),
        ("job-cancelled", 400, "Request was cancelled"),
        ("job-moderated", 422, None),
    ],
)
def test_fals_failures_lie_where_the_result_should_be(
    asker, fault: str, status: int, detail: str | None
) -> None:
    _, place = fal(asker, fault)
    for _ in range(3):
        told = said(asker.get(f"{place}/status{QUEUE}"))
    assert told["status"] == "COMPLETED"
    found = asker.get(place + QUEUE)
    assert found.status == status
    if detail:
        assert said(found) == {"detail": detail}
    else:
        assert said(found)["detail"][0]["type"] == "content_policy_violation"
    at_once = asker.post(f"/fal-ai/{FAL}", {"prompt": "a dog"}, x_sandbox_fault=fault)
    assert at_once.status == status


def test_fals_jobs_can_be_cancelled_until_they_end(asker) -> None:
    _, place = fal(asker)
    cancelled = asker.request("PUT", f"{place}/cancel{QUEUE}", b"", {})
    assert (cancelled.status, said(cancelled)) == (202, {"status": "CANCELLATION_REQUESTED"})
    assert said(asker.get(f"{place}/status{QUEUE}"))["status"] == "COMPLETED"
    assert asker.get(place + QUEUE).status == 400
    again = asker.request("PUT", f"{place}/cancel{QUEUE}", b"", {})
    assert (again.status, said(again)) == (400, {"status": "ALREADY_COMPLETED"})


def test_fals_queue_needs_its_subdomain(asker) -> None:
    _, place = fal(asker)
    refused = asker.get(f"{place}/status")
    assert refused.status == 400
    assert said(refused)["error"].startswith("Not allowed to GET fal-ai/wan-t2v/requests/")
    _, lost = fal(asker, "job-lost")
    assert asker.get(f"{lost}/status{QUEUE}").status == 404
    _, shaky = fal(asker, "job-poll-503")
    polls = [asker.get(f"{shaky}/status{QUEUE}").status for _ in range(3)]
    assert polls == [503, 202, 200]


@pytest.mark.parametrize(
    ("model", "body", "place"),
    [
        ("fal-ai/flux/dev", {"prompt": "x"}, "images.0.url"),
        ("fal-ai/flux-kontext/dev", {"prompt": "x", "image_url": PICTURE}, "images.0.url"),
        ("fal-ai/flux-2/edit", {"prompt": "x", "image_url": PICTURE}, "images.0.url"),
        ("fal-ai/mochi-v1", {"prompt": "x"}, "video.url"),
        ("fal-ai/wan-i2v", {"image_url": PICTURE}, "video.url"),
        ("fal-ai/ltx-video/image-to-video", {"prompt": "x"}, "video.url"),
        ("fal-ai/kokoro/american-english", {"text": "x"}, "audio.url"),
        ("fal-ai/stable-audio", {"prompt": "x"}, "audio_file.url"),
        ("fal-ai/deepfilternet3", {"audio_url": data_url(wav(), "audio/x-wav")}, "audio.url"),
        ("fal-ai/bria/background/remove", {"image_url": PICTURE}, "image.url"),
        ("fal-ai/whisper", {"audio_url": data_url(wav(), "audio/mpeg")}, "text"),
    ],
)
def test_fal_answers_at_once_without_a_queue_and_the_same_with_one(
    asker, model: str, body: dict[str, Any], place: str
) -> None:
    at_once = asker.post(f"/fal-ai/{model}", body)
    assert at_once.status == 200, at_once.body
    assert isinstance(look(said(at_once), place), str)
    _, where = fal(asker, "", model, **body)
    for _ in range(3):
        asker.get(f"{where}/status{QUEUE}")
    assert said(asker.get(where + QUEUE)).keys() == said(at_once).keys()


def test_fal_gives_a_mask_as_data_where_it_shall_not_wait_for_a_file(asker) -> None:
    body = {"image_url": PICTURE, "sync_mode": True}
    found = said(asker.post("/fal-ai/fal-ai/bria/background/remove", body))
    assert found["image"]["url"].startswith("data:image/png;base64,")


@pytest.mark.parametrize(
    ("model", "body", "status", "words"),
    [
        ("fal-ai/flux/dev", {}, 422, b"field required"),
        ("fal-ai/flux/dev", {"prompt": "x", "loras": [{}]}, 422, b"str type expected"),
        ("fal-ai/whisper", {"audio_url": data_url(wav(), "audio/wav")}, 400, b"Unsupported data"),
        ("fal-ai/whisper", {"audio_url": "hello"}, 422, b"Failed to read the file"),
        ("fal-ai/wan-i2v", {"image_url": b64(png())}, 422, b"neither a URL nor a data URL"),
        ("fal-ai/nothing", {"prompt": "x"}, 400, b"Model not supported by provider fal-ai"),
    ],
)
def test_fal_refuses_in_its_own_words(
    asker, model: str, body: dict[str, Any], status: int, words: bytes
) -> None:
    for query in ("", QUEUE):
        refused = asker.post(f"/fal-ai/{model}{query}", body)
        assert refused.status == status
        assert words in refused.body


def test_a_picture_has_the_size_that_was_asked_of_fal(asker) -> None:
    for body in ({"image_size": {"width": 64, "height": 32}}, {"width": 64, "height": 32}):
        found = said(asker.post("/fal-ai/fal-ai/flux/dev", {"prompt": "x", **body}))
        assert found["images"][0]["url"].endswith("-64x32.png")


def predict(asker: Any, model: str, given: dict[str, Any], **headers: str) -> Reply:
    return asker.post(f"/replicate/v1/models/{model}/predictions", {"input": given}, **headers)


def test_replicate_answers_short_predictions_at_once_where_the_client_waits(asker) -> None:
    flux = "black-forest-labs/flux-dev"
    waited = predict(asker, flux, {"prompt": "x"}, prefer="wait")
    assert (waited.status, said(waited)["status"]) == (201, "succeeded")
    assert said(waited)["output"][0].endswith("-1024x768.png")
    assert said(asker.get(below("replicate", said(waited)["urls"]["get"])))["status"] == "succeeded"
    hasty = predict(asker, flux, {"prompt": "x"})
    assert (said(hasty)["status"], said(hasty)["output"]) == ("starting", None)
    video = predict(asker, "wavespeedai/wan-2.1-t2v-480p", {"prompt": "x"}, prefer="wait")
    assert said(video)["status"] == "starting"
    failed = predict(asker, flux, {"prompt": "x"}, prefer="wait", x_sandbox_fault="job-failed")
    assert said(failed)["status"] == "failed"
    slow = predict(asker, flux, {"prompt": "x"}, prefer="wait", x_sandbox_fault="job-slow")
    assert said(slow)["status"] == "starting"


def test_replicate_takes_versions_and_writes_outputs_as_each_model_does(asker) -> None:
    def run(model: str, given: dict[str, Any]) -> Any:
        version = model.partition(":")[2]
        body = {"input": given, "version": version}
        return said(asker.post("/replicate/v1/predictions", body, prefer="wait"))

    def own(name: str) -> str:
        return next(o.own_name for o in MODELS[name].served if o.provider == "replicate")

    heard = run(own("openai/whisper-large-v3"), {"audio": data_url(wav(), "audio/wav")})
    assert heard["output"]["transcription"].startswith("[simulated] audio/wav")
    assert heard["model"] == "openai/whisper"
    assert run(own("hexgrad/Kokoro-82M"), {"text": "hi"})["output"].endswith(".wav")
    edited = predict(
        asker,
        "black-forest-labs/flux-kontext-dev",
        {"prompt": "x", "image": PICTURE},
        prefer="wait",
    )
    assert said(edited)["output"].endswith(".png")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"input": {}}, b"- input: prompt is required"),
        ({}, b"- input is required"),
    ],
)
def test_replicate_refuses_with_problem_json(asker, body: dict[str, Any], words: bytes) -> None:
    flux = "/replicate/v1/models/black-forest-labs/flux-dev/predictions"
    refused = asker.post(flux, body)
    assert refused.status == 422
    assert dict(refused.headers)["content-type"] == "application/problem+json"
    assert words in refused.body
    extra = {"input": {"prompt": "x"}, "version": "v", "model": "m"}
    named = asker.post("/replicate/v1/predictions", extra)
    assert b"Additional property model is not allowed" in named.body


def test_replicates_predictions_can_be_cancelled(asker) -> None:
    job = said(predict(asker, "wavespeedai/wan-2.1-t2v-480p", {"prompt": "x"}))
    place = below("replicate", job["urls"]["cancel"])
    assert said(asker.post(place, {}))["status"] == "canceled"
    assert said(asker.get(below("replicate", job["urls"]["get"])))["status"] == "canceled"
