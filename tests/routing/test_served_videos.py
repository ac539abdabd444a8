"""Videos on a server of one's own, driven by hand: its job, and the file beside it, with the credential."""

from __future__ import annotations

from typing import Any

import pytest
from hand import Hand, answers
from task_hand import KEY, asked, carry_task, header

from trunkline import errors
from trunkline.errors import InvalidInputError
from trunkline.types.job import Job, parse_job
from trunkline.types.media import Blob

BASE = "https://server.example/a/v1"
PLACES = {"api_base": BASE, "explicit": True, "engine": "openai"}
MP4 = b"\0\0\0\x18ftypisom" + bytes(16)
JOB = Job("served", "text-to-video", "openai/m", "v 1", "videos/v%201")


def told(status: str, **more: Any) -> dict[str, Any]:
    return {"id": "v 1", "object": "video", "status": status, **more}


def make(hand: Hand, inputs: Any = "a cat", task: str = "text-to-video", **more: Any) -> Any:
    return carry_task(hand, task, inputs, model="openai/m", secret=KEY, places=PLACES, **more)


def test_a_video_is_asked_for_awaited_and_fetched_with_the_credential() -> None:
    hand = Hand(
        answers(body=told("queued")),
        answers(body=told("in_progress")),
        answers(body=told("completed")),
        answers(body=MP4, content_type="video/mp4"),
    )
    size = {"width": 64, "height": 32}
    made = make(hand, parameters={"target_size": size, "seconds": "4"}, extra_body={"fps": 8})
    assert (made.content, made.media_type) == (MP4, "video/mp4")
    assert asked(hand) == [
        f"POST {BASE}/videos",
        f"GET {BASE}/videos/v%201",
        f"GET {BASE}/videos/v%201",
        f"GET {BASE}/videos/v%201/content",
    ]
    assert {header(send, "authorization") for send in hand.sends} == {f"Bearer {KEY.value}"}
    body = hand.sends[0].request.body
    for name, value in (("size", "64x32"), ("seconds", "4"), ("fps", "8"), ("prompt", "a cat")):
        assert f'name="{name}"\r\n\r\n{value}\r\n'.encode() in body


@pytest.mark.parametrize("task", ["image-to-video", "image-text-to-video"])
def test_a_picture_goes_along(task: str) -> None:
    hand = Hand(answers(body=told("queued")))
    accepted = make(
        hand, Blob(b"\x89PNG", "image/png"), task, parameters={"prompt": "p"}, wait=False
    )
    assert (accepted.job.provider, accepted.job.path) == ("served", "videos/v%201")
    body = hand.sends[0].request.body
    assert b'name="input_reference"; filename="image.png"' in body
    assert b'name="prompt"\r\n\r\np\r\n' in body


def test_a_job_is_found_again_at_the_same_address_alone() -> None:
    assert parse_job(str(JOB)) == JOB
    hand = Hand(answers(body=told("completed")), answers(body=MP4, content_type="video/mp4"))
    assert make(hand, None, job=JOB).content == MP4
    hand = Hand(answers(body=told("completed")))
    look = make(hand, None, job=JOB, look=True)
    assert (look.done, len(hand.sends)) == (True, 1)
    hand = Hand(answers(body={"deleted": True}))
    assert make(hand, None, job=JOB, cancel=True) is True
    assert asked(hand) == [f"DELETE {BASE}/videos/v%201"]
    with pytest.raises(InvalidInputError, match="names none"):
        carry_task(Hand(), "text-to-video", None, model="huggingface/fal-ai/org/m", job=JOB)


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [
        (answers(body=told("failed", error={"message": "out of memory"})), errors.JobFailedError),
        (answers(body=told("failed", error={"message": "NSFW content"})), errors.JobModeratedError),
        (answers(404, b"{}"), errors.JobLostError),
    ],
)
def test_a_job_that_ends_badly_says_how(outcome: Any, kind: type[errors.JobError]) -> None:
    with pytest.raises(kind):
        make(Hand(outcome), None, job=JOB)


@pytest.mark.parametrize("body", [b"", b'{"error": "no"}', b"<html>"])
def test_what_is_no_video_is_an_error(body: bytes) -> None:
    kind = "text/html" if body.startswith(b"<") else "application/json"
    hand = Hand(answers(body=told("completed")), answers(body=body, content_type=kind))
    with pytest.raises(errors.APIError) as caught:
        make(hand, None, job=JOB, retries=0)
    assert caught.value.job == JOB
