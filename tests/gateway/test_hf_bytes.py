"""What Hugging Face's clients send reaches the router byte for byte: every golden request of both."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hf_front import TOKEN, Front, front
from raw import ask, head

from loopback import Request, Visit, whole

ORACLE = Path(__file__).resolve().parents[3] / "shared" / "oracle"
FILES = ("py-huggingface_hub-2.4.0.jsonl", "js-inference-4.13.30.jsonl")
ROUTER = "https://router.huggingface.co"
NEEDED = pytest.mark.skipif(not ORACLE.is_dir(), reason="no shared/oracle beside the repository")


def golden(name: str) -> list[dict[str, Any]]:
    """The rows that go to a provider's route on the router."""
    rows = [json.loads(line) for line in (ORACLE / name).read_text().splitlines()]
    urls = [(row, row.get("url", "")) for row in rows]
    return [r for r, url in urls if url.startswith(f"{ROUTER}/") and f"{ROUTER}/v1/" not in url]


def body_of(row: dict[str, Any]) -> tuple[bytes, str | None]:
    """A row's body and content type; files have bytes of ours, since rows only name theirs."""
    told = {name.lower(): value for name, value in (row.get("headers") or {}).items()}
    if row.get("json") is not None:
        return json.dumps(row["json"]).encode(), told.get("content-type", "application/json")
    if row.get("formData"):
        parts = [_part(*pair) for pair in row["formData"].items()]
        return b"".join(
            parts
        ) + b"--e\r\n--\x00\r\n--edge--\r\n", "multipart/form-data; boundary=edge"
    if row.get("blob"):
        return bytes(range(256)) * 4, row["blob"].strip("<>").split(" ")[0]
    return row["data"].encode("latin-1"), told.get("content-type")


def _part(name: str, value: str) -> bytes:
    named = f'--edge\r\ncontent-disposition: form-data; name="{name}"'.encode()
    if value.startswith("<file"):
        kind = b'; filename="audio.wav"\r\ncontent-type: audio/wav\r\n\r\nRIFF\r\n\x00\xff\r\n'
        return named + kind
    return named + b"\r\n\r\n" + value.encode() + b"\r\n"


def answered(visit: Visit, request: Request) -> None:
    visit.send(whole(b'{"ok":true}'))


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    with front(tmp_path_factory.mktemp("bytes"), answered) as started:
        yield started


@NEEDED
@pytest.mark.parametrize("name", FILES)
def test_every_golden_request_reaches_the_router_as_it_was_sent(there: Front, name: str) -> None:
    rows = golden(name)
    assert len(rows) > 130
    key = there.gateway.new_key()
    connection = http.client.HTTPConnection("127.0.0.1", there.gateway.port, timeout=30)
    try:
        for row in rows:
            what = (row["provider"], row["task"])
            url = urlsplit(row["url"])
            target = url.path + (f"?{url.query}" if url.query else "")
            body, kind = body_of(row)
            sent = {"authorization": f"Bearer hf_{key}", "cookie": "a=b", "x-forwarded-for": "::1"}
            connection.request(
                "POST", f"/hf{target}", body, {**sent, **({"content-type": kind} if kind else {})}
            )
            answer = connection.getresponse()
            assert (answer.status, answer.read()) == (200, b'{"ok":true}'), what
            came = newest(there, target)
            assert (came.method, came.target, came.body) == ("POST", target, body), what
            assert came.headers.get("content-type") == kind, what
            assert came.headers["authorization"] == f"Bearer {TOKEN}", what
            assert not {"cookie", "x-forwarded-for"} & came.headers.keys(), what
            assert came.headers["content-length"] == str(len(body)), what
    finally:
        connection.close()


def newest(there: Front, target: str) -> Request:
    """The request that came last: a client's next one is sent only once it is answered."""
    (found,) = [visit.requests[-1] for visit in there.router.visits if _has(visit, target)][-1:]
    return found


def _has(visit: Visit, target: str) -> bool:
    return bool(visit.requests) and visit.requests[-1].target == target


def test_a_body_may_be_as_large_as_one_with_files(there: Front) -> None:
    key = there.gateway.new_key()
    path, body = "/hf/hf-inference/models/org/name", bytes(11 << 20)
    lines = ["content-type: audio/wav", f"content-length: {len(body)}"]
    answer = ask(there.gateway, head("POST", path, *lines, key=key) + b"\r\n" + body)
    assert answer.status == 200
    assert newest(there, path.removeprefix("/hf")).body == body
    lines = ["content-type: audio/wav", f"content-length: {33 << 20}"]
    answer = ask(there.gateway, head("POST", path, *lines, key=key) + b"\r\n")
    assert (answer.status, answer.json["code"]) == (413, "request_too_large")
    assert "edge.upload_bytes" in answer.json["error"]
