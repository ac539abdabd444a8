"""Videos on a server of one's own in the sandbox, in OpenAI's form."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from samples import form, png

from trunkline.sandbox import Reply

VIDEOS = "/server/v1/videos"


def said(reply: Reply) -> Any:
    assert reply.status == 200, reply.body
    return msgspec.json.decode(reply.body)


def test_a_video_is_queued_runs_and_is_done(asker) -> None:
    body, kind = form({"model": "sandbox/m", "prompt": "a cat", "size": "64x32", "seconds": "4"})
    video = said(asker.post(VIDEOS, body, content_type=kind))
    assert (video["object"], video["status"], video["progress"]) == ("video", "queued", 0)
    assert (video["size"], video["seconds"], video["model"]) == ("64x32", "4", "sandbox/m")
    at = f"{VIDEOS}/{video['id']}"
    assert asker.get(f"{at}/content").status == 404
    states = [said(asker.get(at))["status"] for _ in range(3)]
    assert states == ["queued", "in_progress", "completed"]
    content = asker.get(f"{at}/content")
    assert (dict(content.headers)["content-type"], content.body[4:8]) == ("video/mp4", b"ftyp")
    assert said(asker.get(at))["progress"] == 100


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"prompt": "p"}, b"model parameter"),
        ({"model": "sandbox/m"}, b"'prompt' is missing"),
        ({"model": "sandbox/m", "prompt": "p", "input_reference": ("a", b"x")}, b"is no image"),
        ({"model": "no/such", "prompt": "p"}, b"Model not supported"),
    ],
)
def test_a_wrong_request_for_a_video_is_refused(
    asker, fields: dict[str, Any], words: bytes
) -> None:
    body, kind = form(fields)
    refused = asker.post(VIDEOS, body, content_type=kind)
    assert refused.status == 400
    assert words in refused.body


@pytest.mark.parametrize("fault", ["failed", "moderated", "cancelled"])
def test_a_video_fails_as_asked(asker, fault: str) -> None:
    body, kind = form(
        {
            "model": f"text-to-video/fault-job-{fault}",
            "prompt": "p",
            "input_reference": ("a.png", png()),
        }
    )
    at = f"{VIDEOS}/{said(asker.post(VIDEOS, body, content_type=kind))['id']}"
    last = [said(asker.get(at)) for _ in range(3)][-1]
    assert (last["status"], last["error"]["code"]) == ("failed", fault)
    assert last["error"]["message"]


def test_a_video_that_nobody_asked_for_is_not_there(asker) -> None:
    assert asker.get(f"{VIDEOS}/none").status == 404
    body, kind = form({"model": "text-to-video/fault-job-lost", "prompt": "p"})
    lost = said(asker.post(VIDEOS, body, content_type=kind))
    assert asker.get(f"{VIDEOS}/{lost['id']}").status == 404
