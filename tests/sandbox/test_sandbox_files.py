"""Result files of the sandbox: what they are, who may have them, and how they fail."""

from __future__ import annotations

import http.client
import io
import json
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
from PIL import Image

from trunkline.sandbox import Reply, SandboxServer
from trunkline.sandbox.media_files import mp4

FLUX = "/fal-ai/fal-ai/flux/dev"


def made(asker: Any, fault: str = "") -> str:
    """The URL of a picture that was made."""
    headers = {"x_sandbox_fault": fault} if fault else {}
    reply = asker.post(FLUX, {"prompt": "x"}, host="127.0.0.1:8377", **headers)
    url: str = msgspec.json.decode(reply.body)["images"][0]["url"]
    return url


def fetch(asker: Any, url: str) -> Reply:
    reply: Reply = asker.get(urlsplit(url).path, authorization="")
    return reply


def test_files_lie_where_the_client_asked(asker) -> None:
    assert made(asker).startswith("http://127.0.0.1:8377/files/")


def test_each_kind_of_file_is_what_it_says(asker) -> None:
    picture = fetch(asker, "http://x/files/0123456789abcdef-64x32.png")
    assert dict(picture.headers)["content-type"] == "image/png"
    shown = Image.open(io.BytesIO(picture.body))
    shown.load()
    assert shown.size == (64, 32)
    sound = fetch(asker, "http://x/files/0123456789abcdef-2.wav")
    with wave.open(io.BytesIO(sound.body)) as heard:
        assert heard.getnframes() / heard.getframerate() == 2.0
    video = fetch(asker, "http://x/files/0123456789abcdef.mp4")
    assert video.body[4:12] == b"ftypisom"
    assert video.body == mp4("0123456789abcdef")
    huge = fetch(asker, "http://x/files/0123456789abcdef-99999x1.png")
    assert Image.open(io.BytesIO(huge.body)).size == (2048, 1)


@pytest.mark.parametrize("name", ["x.png", "0123456789abcdef.exe", "0123456789ABCDEF-64x32.png"])
def test_other_names_are_not_there(asker, name: str) -> None:
    assert asker.get(f"/files/{name}", authorization="").status == 404


def test_a_credential_sent_to_a_file_is_refused(asker) -> None:
    path = urlsplit(made(asker)).path
    assert asker.get(path).status == 400
    assert asker.get(path, authorization="").status == 200


def test_a_fault_of_files_leaves_the_answer_and_strikes_at_its_url(asker) -> None:
    url = made(asker, "file-html")
    assert "/files/fault-file-html/" in url
    page = fetch(asker, url)
    assert (page.status, dict(page.headers)["content-type"]) == (200, "text/html; charset=utf-8")
    assert fetch(asker, made(asker, "file-404")).status == 404
    assert fetch(asker, made(asker, "file-empty")).body == b""


def test_a_fault_of_files_strikes_an_answer_that_is_a_file(asker) -> None:
    body = {"inputs": "a cat"}
    page = asker.post("/hf-inference/models/text-to-image/fault-file-html", body)
    assert page.body.startswith(b"<!DOCTYPE html>")


@pytest.mark.parametrize(
    ("fault", "place"),
    [
        ("file-redirect-http", "http://files.example.org/file"),
        ("file-redirect-private", "http://169.254.169.254/latest"),
        ("file-redirect-private-tls", "https://169.254.169.254/latest"),
    ],
)
def test_a_file_may_lead_elsewhere(asker, fault: str, place: str) -> None:
    moved = fetch(asker, made(asker, fault))
    assert (moved.status, dict(moved.headers)["location"]) == (302, place)


def test_an_answer_may_name_a_url_that_nobody_should_ask(asker) -> None:
    assert made(asker, "file-url-http").startswith("http://files.example.org/")
    assert made(asker, "file-url-private") == "http://169.254.169.254/latest"
    assert made(asker, "file-url-private-tls") == "https://169.254.169.254/latest"


@contextmanager
def get(server: SandboxServer, path: str) -> Iterator[http.client.HTTPResponse]:
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        client.request("GET", path)
        with client.getresponse() as reply:
            yield reply
    finally:
        client.close()


def test_files_come_over_a_socket_and_break_there(server) -> None:
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    headers = {"authorization": "Bearer hf_good", "content-type": "application/json"}
    client.request("POST", FLUX, json.dumps({"prompt": "x"}), headers)
    url = json.loads(client.getresponse().read())["images"][0]["url"]
    client.close()
    assert url.startswith(server.url)
    path = urlsplit(url).path
    with get(server, path) as whole:
        assert whole.read().startswith(b"\x89PNG")
    faulty = path.replace("/files/", "/files/fault-file-{}/")
    with get(server, faulty.format("short")) as short, pytest.raises(http.client.IncompleteRead):
        short.read()
    with get(server, faulty.format("huge")) as huge:
        assert huge.getheader("content-length") == "10000000000"
        assert huge.read(8) == b"\x89PNG\r\n\x1a\n"
    with get(server, faulty.format("endless")) as endless:
        assert endless.getheader("content-length") is None
        assert len(endless.read(1 << 20)) == 1 << 20
