"""Forms that mean harm, as bytes to a running gateway: refused clearly, and it serves on."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from raw import Answer, Wire, ask, chunks, eventually, head, mib, resident
from running import Gateway, running

from trunkline.sandbox import SandboxServer, media_files

PNG = media_files.png("ab" * 8, 8, 8)
PATH = "/v1/images/edits"
BOUNDARY = "X" * 20
CONFIG = """
[edge]
upload_bytes = 4_000_000
head_seconds = 1.0
body_seconds = 2.0
[upstreams.server]
base_url = "{url}/server/v1"
"""


@pytest.fixture(scope="module")
def gateway(
    sandbox_server: SandboxServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    config = CONFIG.format(url=sandbox_server.url)
    folder = tmp_path_factory.mktemp("forms")
    with running(folder, config, sandbox_server.environment) as started:
        yield started


@pytest.fixture(scope="module")
def key(gateway: Gateway) -> str:
    return gateway.new_key()


def part(name: str, content: bytes, more: str = "") -> bytes:
    line = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'
    return line.encode("latin-1") + content + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode()
GOOD = (
    part("model", b"server/sandbox/any")
    + part("prompt", b"in winter")
    + part("image", PNG, '; filename="a.png"')
)


def post(body: bytes, key: str, boundary: str = BOUNDARY, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    lines = (f"content-type: multipart/form-data; boundary={boundary}", f"content-length: {size}")
    return head("POST", PATH, *lines, key=key) + b"\r\n" + body


def refused(answer: Answer, status: int) -> str:
    """Return what a refusal with this status says."""
    assert answer.status == status, answer.body
    said: str = answer.error["message"]
    return said


def test_a_good_form_is_answered_in_any_pieces(gateway: Gateway, key: str) -> None:
    data = post(GOOD + END, key)
    assert ask(gateway, data).status == 200
    rolled = random.Random(7)
    for _ in range(5):
        cuts = sorted(rolled.sample(range(len(data)), 12))
        pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, None], strict=True)]
        with Wire(gateway) as wire:
            assert wire.send(*pieces).answer().status == 200
            assert wire.lives()
    lines = (
        f"content-type: multipart/form-data; boundary={BOUNDARY}",
        "transfer-encoding: chunked",
    )
    body = chunks(GOOD + END, 97)
    assert ask(gateway, head("POST", PATH, *lines, key=key) + b"\r\n" + body).status == 200


def test_forms_that_are_sent_ahead_are_answered_in_their_order(gateway: Gateway, key: str) -> None:
    with Wire(gateway) as wire:
        wire.send(post(GOOD + END, key) + post(GOOD, key) + post(GOOD + END, key))
        assert [wire.answer().status for _ in range(3)] == [200, 400, 200]
        assert wire.lives()


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (GOOD, 400, "last boundary"),
        (GOOD + END[:-4], 400, "last boundary"),
        (GOOD[:-20], 400, "last boundary"),
        (b"", 400, "last boundary"),
        (GOOD + part("model", b"other") + END, 400, "twice"),
        (GOOD + part("image", PNG, '; filename="b.png"') + END, 400, "twice"),
        (part("a", b"") * 1000 + END, 413, "64 fields"),
        (part("image[]", PNG, '; filename="a.png"') * 33 + END, 413, "32 files"),
        (part("prompt", b"x" * 1_048_577) + END, 413, "more than"),
        (GOOD + part("x" * 5000, b"") + END, 400, "The form cannot be read"),
        (GOOD + part("a", b"\xff\xfe") + END, 400, "UTF-8"),
        (GOOD + part("a\x00b", b"") + END, 400, "The form cannot be read"),
        (GOOD + part("mask", PNG, '; filename="a\x00.png"') + END, 400, "The form cannot be read"),
        (GOOD + part("a", b"x\x00y", "; charset=utf-7") + END, 200, ""),
        (GOOD + part("n", b"2\x00") + END, 400, "'n' must be"),
        (GOOD + part("api_base", b"http://127.0.0.1:1") + END, 400, "'api_base' is not taken"),
        (GOOD + part("file", PNG, '; filename="a"') + END, 400, "'file' is a file"),
    ],
)
def test_what_is_wrong_with_a_form_is_said_and_the_connection_lives(
    gateway: Gateway, key: str, body: bytes, status: int, said: str
) -> None:
    with Wire(gateway) as wire:
        answer = wire.ask(post(body, key))
        if status == 200:
            assert answer.status == 200, answer.body
        else:
            assert said in refused(answer, status)
        assert wire.lives()


@pytest.mark.parametrize(
    ("boundary", "says"),
    [
        *[(odd, "names no boundary") for odd in ("-" * 71, "", "a b", '"')],
        ("a;b", "malformed"),
        ("\x7f", "not valid HTTP"),
    ],
)
def test_a_boundary_that_can_be_none_is_refused(
    gateway: Gateway, key: str, boundary: str, says: str
) -> None:
    said = refused(ask(gateway, post(GOOD + END, key, boundary)), 400)
    assert says in said


def test_a_boundary_of_64_kib_does_not_get_that_far(gateway: Gateway, key: str) -> None:
    said = refused(ask(gateway, post(b"--", key, "-" * 65_536)), 431)
    assert "header" in said


def test_a_form_that_is_all_but_its_boundary_is_read_in_no_time(gateway: Gateway, key: str) -> None:
    almost = f"\r\n--{BOUNDARY[:-1]}".encode() * 100_000
    body = GOOD + part("mask", almost, '; filename="a.png"') + END
    assert "'mask' cannot be used" in refused(ask(gateway, post(body, key)), 400)
    said = refused(ask(gateway, post(GOOD + b"\r" * 3_000_000, key)), 400)
    assert "cannot be read" in said


def test_a_length_that_is_too_short_or_too_long_is_found_out(gateway: Gateway, key: str) -> None:
    with Wire(gateway) as wire:
        said = refused(wire.ask(post(GOOD + END, key, length=len(GOOD))), 400)
        assert "last boundary" in said
        assert wire.answer().status == 400  # what was left over is no request
        assert wire.ended()
    assert ask(gateway, post(GOOD + END, key, length=len(GOOD) + 100)).status == 408


def test_a_form_that_is_too_large_is_refused_by_its_head(gateway: Gateway, key: str) -> None:
    with Wire(gateway) as wire:
        said = refused(wire.ask(post(b"", key, length=4_000_001)), 413)
        assert "edge.upload_bytes" in said
    lines = (
        f"content-type: multipart/form-data; boundary={BOUNDARY}",
        "transfer-encoding: chunked",
    )
    body = b"3d0900\r\n" + b"x" * 4_000_000 + b"\r\n10\r\n" + b"x" * 16
    with Wire(gateway) as wire:
        said = refused(wire.ask(head("POST", PATH, *lines, key=key) + b"\r\n" + body), 413)
        assert "edge.upload_bytes" in said


def test_strangers_send_no_files(gateway: Gateway) -> None:
    with Wire(gateway) as wire:
        wire.send(head("POST", PATH, "content-length: 3000000") + b"\r\n")
        assert wire.answer().status == 401


@pytest.mark.parametrize("path", ["/v1/images/generations", "/v1/audio/speech", "/v1/rerank"])
def test_a_form_is_refused_where_there_is_nothing_to_upload(
    gateway: Gateway, key: str, path: str
) -> None:
    data = post(GOOD + END, key).replace(PATH.encode(), path.encode())
    assert "JSON" in refused(ask(gateway, data), 415)


def test_names_of_files_lead_nowhere(gateway: Gateway, key: str, tmp_path: Path) -> None:
    aim = tmp_path / "written.png"
    names = [str(aim), f"../../../..{aim}", f"..\\..\\{aim}", "~/x", "|touch x", "CON", ".", ".."]
    for name in names:
        body = part("model", b"server/sandbox/any") + part("prompt", b"p")
        body += part("image", PNG, f'; filename="{name}"')
        assert ask(gateway, post(body + END, key)).status == 200
    assert not aim.exists()
    assert not [found for found in gateway.folder.rglob("*") if found.suffix == ".png"]


def test_memory_is_bounded_by_what_is_uploaded(gateway: Gateway, key: str) -> None:
    body = GOOD + part("mask", os.urandom(3_900_000), '; filename="a.png"') + END
    ask(gateway, post(body, key))
    before = resident(gateway)
    for _ in range(20):
        assert "'mask' cannot be used" in refused(ask(gateway, post(body, key)), 400)
    eventually(lambda: resident(gateway) - before < 32 << 20, "memory is given back")
    assert mib("80 MB of uploads, one after the other", resident(gateway) - before) < 32
