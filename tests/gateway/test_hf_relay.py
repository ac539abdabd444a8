"""How answers come back through `/hf`: as they come, whole or not, and what the ledger has of each."""

from __future__ import annotations

import http.client
import json
import os
import signal
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hf_front import GROQS, LLAMA, Front, front
from raw import Wire, ask, eventually, get, mib, post, resident

from loopback import (
    HELLO,
    LAST,
    STREAM_HEAD,
    Request,
    Visit,
    chunk,
    completion,
    event,
    stream,
    whole,
)

pytestmark = pytest.mark.slow

CHAT = {"model": GROQS, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9}
GROQ = "/hf/groq/openai/v1/chat/completions"
BINARY_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: video/mp4\r\ntransfer-encoding: chunked\r\n\r\n"
BYTES = bytes(range(256))
FAL = {
    "request_id": "7",
    "response_url": "https://queue.fal.run/fal-ai/flux/requests/7",
    "status_url": "https://queue.fal.run/fal-ai/flux/requests/7/status",
    "cancel_url": "https://queue.fal.run/fal-ai/flux/requests/7/cancel",
    "logs": "https://queue.fal.run/untouched",
}
REPLICATE = {
    "id": "7",
    "output": ["https://replicate.delivery/x.png"],
    "urls": {
        "get": "https://api.replicate.com/v1/predictions/7",
        "cancel": "https://api.replicate.com/v1/predictions/7/cancel",
        "stream": "https://stream.replicate.com/v1/files/7",
    },
}
WAVESPEED = {
    "code": 200,
    "data": {"urls": {"get": "https://api.wavespeed.ai/api/v3/predictions/7/result"}, "id": "7"},
}


def play(visit: Visit, request: Request) -> None:
    """Do what the last part of the path, or the message of a chat, says."""
    case = request.target.partition("?")[0].rpartition("/")[2]
    if case == "completions":
        case = json.loads(request.body)["messages"][0]["content"]
    CASES[case](visit)


def held_stream(visit: Visit) -> None:
    visit.send(STREAM_HEAD, chunk(event("Hel")))
    visit.hold("go on")
    visit.send(*[chunk(piece) for piece in HELLO[1:]], LAST)


def held_bytes(visit: Visit) -> None:
    visit.send(BINARY_HEAD, chunk(BYTES))
    visit.hold("more bytes")
    visit.send(chunk(BYTES), LAST)


def cut(visit: Visit) -> None:
    visit.send(BINARY_HEAD, chunk(BYTES))
    visit.reset()


def cut_stream(visit: Visit) -> None:
    visit.send(STREAM_HEAD, chunk(event("Hel")))
    visit.reset()


def left(visit: Visit) -> None:
    visit.send(BINARY_HEAD, chunk(BYTES))
    visit.note("began")
    visit.until_gone()


def silent(visit: Visit) -> None:
    visit.note("silent")
    visit.until_gone()


def endless(visit: Visit) -> None:
    """Send 256 MiB, as fast as they are taken."""
    visit.send(BINARY_HEAD)
    piece = chunk(bytes(1 << 20))
    for sent in range(256):
        visit.upstream.sent = sent  # type: ignore[attr-defined]
        visit.send(piece)
    visit.send(LAST)


def large(visit: Visit) -> None:
    """Send 96 MiB: more than an answer may have that is kept in memory."""
    visit.send(BINARY_HEAD)
    for _ in range(96):
        visit.send(chunk(bytes(1 << 20)))
    visit.send(LAST)


def once_dead(visit: Visit) -> None:
    """Answer the first of a connection, and die with the second."""
    if len([r for r in visit.requests if b"once-dead" in r.body]) > 1:
        visit.reset()
    else:
        visit.answer()


CASES: dict[str, Any] = {
    "Hi": lambda visit: visit.answer(),
    "stream": lambda visit: visit.send(stream(*HELLO)),
    "uncounted": lambda visit: visit.send(stream(event("four letters"), event(finish="stop"))),
    "unfinished": lambda visit: visit.send(stream(event("Hel"))),
    "failing": lambda visit: visit.send(stream(event("Hel"), b'data: {"error":"overloaded"}\n\n')),
    "no-usage": lambda visit: visit.answer(completion(usage=None)),
    "no-answer": lambda visit: visit.answer(b'{"choices": "non'),
    "held": held_stream,
    "cut-stream": cut_stream,
    "held-bytes": held_bytes,
    "cut": cut,
    "left": left,
    "silent": silent,
    "endless": endless,
    "large": large,
    "once-dead": once_dead,
    "dead": lambda visit: visit.reset(),
    "bytes": lambda visit: visit.send(whole(BYTES, content_type="image/png", x_request_id="up-1")),
    "made": lambda visit: visit.send(whole(b'{"ok":1}', 201)),
    "empty": lambda visit: visit.send(b"HTTP/1.1 204 No Content\r\n\r\n"),
    "wrong": lambda visit: visit.send(whole(b'{"error":"no prompt"}', 422)),
    "text": lambda visit: visit.send(whole(b"Not here", 404, content_type="text/plain")),
    "limited": lambda visit: visit.send(whole(b'{"error":"slow"}', 429, retry_after="7")),
    "strange": lambda visit: visit.send(whole(b'{"error":"who?"}', 401)),
    "forbidden": lambda visit: visit.send(whole(b'{"error":"not yours"}', 403)),
    "page": lambda visit: visit.send(whole(b"<h1>Bad gateway</h1>", 502, content_type="text/html")),
    "moved": lambda visit: visit.send(whole(b"", 307, location="/groq/openai/v1/models?a=b")),
    "7": lambda visit: visit.send(whole(json.dumps(FAL).encode())),
    "predictions": lambda visit: visit.send(whole(json.dumps(REPLICATE).encode(), 201)),
    "queued": lambda visit: visit.send(whole(json.dumps(WAVESPEED).encode())),
    "odd": lambda visit: visit.send(whole(b'{"response_url": 7, "status_url": "ftp://x/y"}')),
}


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    config = """
[upstreams.huggingface]
kind = "huggingface"
first_byte_seconds = 3.0
idle_seconds = 3.0
"""
    with front(tmp_path_factory.mktemp("relay"), play, config) as started:
        yield started


@pytest.fixture(scope="module")
def key(there: Front) -> str:
    return there.gateway.new_key()


def say(case: str, **more: Any) -> dict[str, Any]:
    return {**CHAT, "messages": [{"role": "user", "content": case}], **more}


def work(case: str) -> str:
    """A path of Together's that nobody here knows."""
    return f"/hf/together/v1/{case}"


def row(there: Front, headers: dict[str, str]) -> dict[str, Any]:
    return there.gateway.entry(headers["x-request-id"])


@pytest.mark.parametrize(("case", "status", "kind", "body"), [
    ("bytes", 200, "image/png", BYTES),
    ("made", 201, "application/json", b'{"ok":1}'),
    ("empty", 204, None, b""),
    ("wrong", 422, "application/json", b'{"error":"no prompt"}'),
    ("text", 404, "text/plain", b"Not here"),
    ("limited", 429, "application/json", b'{"error":"slow"}'),
    ("page", 502, "text/html", b"<h1>Bad gateway</h1>"),
])  # fmt: skip
def test_status_type_and_bytes_come_back_as_they_are(
    there: Front, key: str, case: str, status: int, kind: str | None, body: bytes
) -> None:
    with Wire(there.gateway) as wire:
        wire.send(post({}, key, path=work(case)))
        answer = wire.head() if status == 204 else wire.answer()
        assert (answer.status, answer.headers.get("content-type"), answer.body) == (
            status,
            kind,
            body,
        )
        assert answer.headers["x-inference-provider"] == "together"
        assert wire.lives()
    told = row(there, answer.headers)
    assert answer.headers.get("x-upstream-request-id") == told["upstream_id"]
    assert (told["upstream_id"] == "up-1") == (case == "bytes")
    assert (told["endpoint"], told["provider"], told["model"]) == ("hf", "together", "unknown")
    assert (told["status"], told["outcome"]) == (status, "ok" if status < 300 else "refused")
    assert told["cost"] == (None if status < 300 else "0")
    assert answer.headers.get("retry-after") == ("7" if case == "limited" else None)


@pytest.mark.parametrize("case", ["strange", "forbidden"])
def test_a_refused_credential_is_the_operators_affair(there: Front, key: str, case: str) -> None:
    answer = ask(there.gateway, post({}, key, path=work(case)))
    assert answer.status == 502
    assert "gateway's own credential" in answer.json["error"]
    assert row(there, answer.headers)["error"] == "upstream_credential_refused"


def test_work_has_a_connection_of_its_own_and_chats_share_one(there: Front, key: str) -> None:
    def connections(path: str, body: dict[str, Any]) -> int:
        for _ in range(3):
            assert ask(there.gateway, post(body, key, path=path)).status == 200
        aim = path.removeprefix("/hf")
        return sum(any(r.target == aim for r in visit.requests) for visit in there.router.visits)

    before = len(there.router.visits)
    assert connections(work("bytes") + "?apart=1", {}) == 3
    assert len(there.router.visits) == before + 3, "which may have died, and not be asked twice"
    assert connections(GROQ + "?shared=1", say("Hi")) == 1
    assert len(there.router.visits) == before + 3, "those that work left are good for chats"


def test_a_redirect_within_the_router_stays_below_hf(there: Front, key: str) -> None:
    answer = ask(there.gateway, post({}, key, path=work("moved")))
    assert (answer.status, answer.headers["location"]) == (307, "/hf/groq/openai/v1/models?a=b")


@pytest.mark.parametrize(("path", "sent", "place"), [
    ("/hf/fal-ai/fal-ai/flux/7?_subdomain=queue", FAL, ("response_url",)),
    ("/hf/replicate/v1/predictions", REPLICATE, ("urls", "get")),
    ("/hf/wavespeed/api/v3/queued", WAVESPEED, ("data", "urls", "get")),
])  # fmt: skip
def test_urls_of_jobs_lead_back_through_the_gateway(
    there: Front, key: str, path: str, sent: dict[str, Any], place: tuple[str, ...]
) -> None:
    answer = ask(there.gateway, post({}, key, "x-a: b", path=path))
    told, meant = answer.json, json.loads(json.dumps(sent))
    provider = path.split("/")[2]
    url = told
    for name in place:
        url = url[name]
    base = f"http://gateway/hf/{provider}"
    assert url.startswith(f"{base}/")
    text = json.dumps(meant)
    for host in (
        "https://queue.fal.run/fal-ai",
        "https://api.replicate.com",
        "https://api.wavespeed.ai",
    ):
        text = text.replace(host, base + ("/fal-ai" if "fal" in host else ""))
    expected = json.loads(text)
    if provider == "fal-ai":
        for name in ("response_url", "status_url", "cancel_url"):
            expected[name] += "?_subdomain=queue"
    assert told == expected


def test_what_is_no_job_is_left_as_it_is(there: Front, key: str) -> None:
    answer = ask(there.gateway, post({}, key, path="/hf/fal-ai/fal-ai/odd"))
    assert answer.body == b'{"response_url": 7, "status_url": "ftp://x/y"}'


def test_a_stream_goes_on_as_it_comes_and_is_counted_on_the_way(there: Front, key: str) -> None:
    with Wire(there.gateway) as wire:
        wire.send(post(say("held", stream=True), key, path=GROQ))
        first = wire.head()
        assert first.headers["content-type"] == "text/event-stream"
        assert wire.until(b"\r\n") == b"%x" % len(event("Hel"))
        assert wire._exactly(len(event("Hel"))) == event("Hel")
        there.router.say("go on")
        eventually(lambda: wire._more() and LAST in wire.rest, "the stream ends")
    told = row(there, first.headers)
    assert (told["model"], told["target_model"], told["stream"]) == (LLAMA, GROQS, True)
    assert (told["input_tokens"], told["output_tokens"], told["outcome"]) == (3, 2, "ok")
    assert told["token_source"] == "provider"
    assert float(told["cost"]) == pytest.approx((3 * 0.5 + 2 * 1.0) / 1e6)


def test_a_streams_bytes_are_the_upstreams_the_mark_of_its_end_included(
    there: Front, key: str
) -> None:
    answer = ask(there.gateway, post(say("stream", stream=True), key, path=GROQ))
    assert answer.body == b"".join(HELLO)


@pytest.mark.parametrize(("case", "outcome", "tokens", "source"), [
    ("uncounted", "ok", 3, "estimated"),
    ("unfinished", "truncated", 1, "estimated"),
    ("failing", "failed", 1, "estimated"),
])  # fmt: skip
def test_a_stream_that_tells_no_tokens_is_estimated_by_what_it_said(
    there: Front, key: str, case: str, outcome: str, tokens: int, source: str
) -> None:
    answer = ask(there.gateway, post(say(case, stream=True), key, path=GROQ))
    assert answer.status == 200
    told = row(there, answer.headers)
    assert (told["outcome"], told["output_tokens"], told["token_source"]) == (
        outcome,
        tokens,
        source,
    )


@pytest.mark.parametrize(("case", "outcome", "source"), [
    ("Hi", "ok", "provider"), ("no-usage", "ok", "estimated"), ("no-answer", "failed", "unknown"),
])  # fmt: skip
def test_a_whole_chat_is_counted_by_what_it_tells(
    there: Front, key: str, case: str, outcome: str, source: str
) -> None:
    answer = ask(there.gateway, post(say(case), key, path=GROQ))
    assert answer.status == 200
    told = row(there, answer.headers)
    assert (told["outcome"], told["token_source"]) == (outcome, source)
    assert (told["cost"] is None) == (outcome == "failed")


def test_bytes_go_on_as_they_come(there: Front, key: str) -> None:
    with Wire(there.gateway) as wire:
        wire.send(post({}, key, path=work("held-bytes")))
        head = wire.head()
        assert head.headers["content-type"] == "video/mp4"
        assert wire.until(b"\r\n") == b"100"
        assert wire._exactly(256) == BYTES
        there.router.say("more bytes")
        assert wire._exactly(2) == b"\r\n"
        assert wire.until(b"\r\n") == b"100"
        assert wire._exactly(256) == BYTES
    assert row(there, head.headers)["outcome"] == "ok"


@pytest.mark.parametrize("case", ["cut", "cut-stream"])
def test_an_answer_that_breaks_off_is_never_taken_for_whole(
    there: Front, key: str, case: str
) -> None:
    asked = post({}, key, path=work(case))
    if case == "cut-stream":
        asked = post(say(case, stream=True), key, path=GROQ)
    with Wire(there.gateway) as wire:
        wire.send(asked)
        head = wire.head()
        with pytest.raises((AssertionError, ConnectionError)):
            wire.until(LAST)
    told = row(there, head.headers)
    assert (told["status"], told["outcome"]) == (200, "truncated")
    assert told["error"] == "upstream_truncated"


def test_a_client_that_leaves_ends_the_upstreams_work(there: Front, key: str) -> None:
    with Wire(there.gateway) as wire:
        wire.send(post({}, key, path=work("left")))
        head = wire.head()
        there.router.wait("began")
    (visit,) = [
        v for v in there.router.visits if v.requests and v.requests[-1].target.endswith("/left")
    ]
    assert visit.over.wait(10)
    told = row(there, head.headers)
    assert (told["status"], told["outcome"], told["cost"]) == (499, "cancelled", None)


def test_a_client_that_leaves_before_an_answer_is_noted_too(there: Front, key: str) -> None:
    path = work("silent")
    with Wire(there.gateway) as wire:
        wire.send(post({}, key, path=path))
        there.router.wait("silent")
    rows: list[Any] = []

    def noted() -> bool:
        rows[:] = [r for r in there.gateway.ledger() if r["status"] == 499 and not r["first_byte"]]
        return bool(rows)

    eventually(noted, "the call is settled")
    assert (rows[0]["outcome"], rows[0]["cost"], rows[0]["provider"]) == (
        "cancelled", None, "together",
    )  # fmt: skip


def test_an_upstream_that_is_silent_is_given_up(there: Front, key: str) -> None:
    answer = ask(there.gateway, post({}, key, path=work("silent")))
    assert (answer.status, answer.json["code"]) == (504, "upstream_timeout")
    told = row(there, answer.headers)
    assert (told["outcome"], told["cost"]) == ("failed", None)


def test_work_that_may_have_begun_is_not_sent_again(there: Front, key: str) -> None:
    answer = ask(there.gateway, post({}, key, path=work("dead")))
    assert (answer.status, answer.json["code"]) == (502, "upstream_unreachable")
    assert [r.target for r in there.seen].count("/together/v1/dead") == 1
    assert row(there, answer.headers)["attempts"] == 1


def test_a_chat_on_a_connection_that_had_died_is_sent_once_more(there: Front, key: str) -> None:
    asked = post(say("once-dead"), key, path=GROQ)
    assert ask(there.gateway, asked).status == 200
    answer = ask(there.gateway, asked)
    assert answer.status == 200
    assert row(there, answer.headers)["attempts"] == 2


def test_a_chat_that_finds_no_second_connection_is_told_so_and_was_tried_twice(
    tmp_path: Path,
) -> None:
    def ends(visit: Visit, request: Request) -> None:
        if json.loads(request.body)["messages"][0]["content"] == "end":
            visit.upstream.deafen()  # the next connection is refused
            visit.reset()
        else:
            visit.answer()

    with front(tmp_path, ends) as it:
        key = it.gateway.new_key()
        assert ask(it.gateway, post(say("Hi"), key, path=GROQ)).status == 200
        answer = ask(it.gateway, post(say("end"), key, path=GROQ))
        assert (answer.status, answer.json["code"]) == (502, "upstream_unreachable")
        told = row(it, answer.headers)
        assert (told["attempts"], told["outcome"], told["cost"]) == (2, "refused", "0")


def test_a_slow_client_slows_its_upstream_and_costs_no_memory(there: Front, key: str) -> None:
    with Wire(there.gateway, buffer=4096) as wire:
        before = resident(there.gateway)
        wire.send(post({}, key, path=work("endless")))
        head = wire.head()
        sent = [-1]

        def stopped() -> bool:
            now = getattr(there.router, "sent", 0)
            still, sent[0] = now == sent[0] and now > 0, now
            return still

        pause = threading.Event()
        eventually(lambda: pause.wait(0.3) or stopped(), "the upstream is held back", 20)
        assert sent[0] < 64
        assert mib("256 MiB to a client that does not read", resident(there.gateway) - before) < 24
    assert row(there, head.headers)["outcome"] == "cancelled"


def test_an_answer_that_is_only_passed_on_may_have_any_length(there: Front, key: str) -> None:
    before = resident(there.gateway)
    connection = http.client.HTTPConnection("127.0.0.1", there.gateway.port, timeout=30)
    try:
        connection.request("POST", work("large"), b"{}", {"authorization": f"Bearer {key}"})
        answer = connection.getresponse()
        size = 0
        while data := answer.read(1 << 20):
            size += len(data)
    finally:
        connection.close()
    assert size == 96 << 20
    assert mib("96 MiB passed on", resident(there.gateway) - before) < 24


def test_head_is_answered_without_a_body(there: Front, key: str) -> None:
    path = "/hf/zai-org/api/paas/v4/async-result/7"
    answer = ask(there.gateway, get(path, method="HEAD", key=key), head_only=True)
    assert answer.status == 200
    assert "GET" in [r.method for r in there.seen if r.target.endswith("async-result/7")]


def test_expect_is_kept_to(there: Front, key: str) -> None:
    with Wire(there.gateway) as wire:
        data = post(CHAT, key, "expect: 100-continue", path=GROQ)
        cut_at = data.index(b"\r\n\r\n") + 4
        wire.send(data[:cut_at])
        assert wire.answer().status == 100
        wire.send(data[cut_at:])
        assert wire.answer().status == 200


def test_a_stop_breaks_off_what_it_cannot_wait_for(tmp_path: Path) -> None:
    with front(tmp_path, play, "[edge]\ndrain_seconds = 0.1\n") as there:
        key = there.gateway.new_key()
        with Wire(there.gateway) as wire:
            wire.send(post({}, key, path=work("left")))
            wire.head()
            there.router.wait("began")
            os.kill(there.gateway.process.pid, signal.SIGTERM)
            with pytest.raises((AssertionError, ConnectionError)):
                wire.until(LAST)
        assert there.gateway.process.wait(20) == 0
        there.gateway.start()
        (told,) = there.gateway.ledger(1)
        assert (told["outcome"], told["error"]) == ("failed", "gateway_stopping")


def test_behind_a_proxy_urls_of_jobs_begin_where_clients_find_the_gateway(tmp_path: Path) -> None:
    public = '[listen]\npublic_url = "https://models.example.org/llm/"\n'
    with front(tmp_path, play, public) as there:
        key = there.gateway.new_key()
        place = "https://models.example.org/llm/hf/fal-ai/fal-ai/flux/requests/7"
        answer = ask(there.gateway, post({}, key, path="/hf/fal-ai/fal-ai/flux/7"))
        assert answer.json["response_url"] == f"{place}?_subdomain=queue"
        answer = ask(there.gateway, post({}, key, path=work("moved")))
        assert answer.headers["location"] == "/llm/hf/groq/openai/v1/models?a=b"
        answer = ask(there.gateway, get("/hf/api/models/old/name", key=key))
        assert answer.headers["location"] == "/llm/hf/api/models/new/name?expand=x"


def test_of_what_is_no_text_nothing_is_kept(tmp_path: Path) -> None:
    with front(tmp_path, play, "[content]\nstore = true\n") as it:
        key = it.gateway.new_key()
        kept = ask(it.gateway, post(say("Hi"), key, path=GROQ)).headers["x-request-id"]
        assert ask(it.gateway, post({"prompt": "a cat"}, key, path=work("made"))).status == 201
        assert it.gateway.stop() == 0
        with closing(sqlite3.connect(it.gateway.store)) as store:
            assert store.execute("SELECT id FROM contents").fetchall() == [(kept,)]
