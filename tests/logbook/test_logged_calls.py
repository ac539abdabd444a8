"""What becomes of calls in the log: each way in which one ends, for both clients."""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import subprocess
import sys
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from faces import ASKED, ONCE
from loopback import (
    HELLO,
    STREAM_HEAD,
    answers,
    chunk,
    completion,
    saying,
    stream,
    then_resets,
    then_waits,
    whole,
)
from trunkline import (
    APIError,
    AsyncClient,
    Client,
    JobUnfinishedError,
    ServiceUnavailableError,
    StreamTruncated,
)
from trunkline.sandbox import serve_in_thread
from trunkline.settings import read_settings
from trunkline.store.call_log import CallLog
from trunkline.store.logged import LogFilter, Logged
from trunkline.testing import record, replay

BUSY = whole(b'{"error": {"message": "busy, said hf_abcdefghijkl"}}', 503, **{"retry-after": "0"})
TOKEN = "hf_the_token_of_this_test"
PICTURE = "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"x" * 999).decode()
VIDEO = "huggingface/fal-ai/Wan-AI/Wan2.1-T2V-14B"
LOADED = "huggingface/groq/openai/gpt-oss-120b"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "calls.db"


def kept(file: Path) -> list[Logged]:
    """Return all that is in the log, the oldest first."""
    with closing(CallLog(file)) as log:
        calls = log.calls(LogFilter(), 1000)
        found = [log.find(call.id) for call in reversed(calls)]
    return [one for one in found if one is not None]


def only(face: Any, file: Path) -> Logged:
    face.close()
    (one,) = kept(file)
    return one


def test_a_good_call_is_a_row_and_its_receipt_has_the_id(face, serve, file: Path) -> None:
    upstream = serve(answers)
    answer = face.chat(face.client(upstream.url, log=file, token=TOKEN))
    one = only(face, file)
    call, receipt = one.call, answer.receipt
    assert call.id == receipt.call_id
    assert (call.task, call.outcome, call.stream, call.attempts) == ("chat", "ok", False, 1)
    assert call.model == "openai/m"
    assert call.answered_model == receipt.model
    assert (call.input_tokens, call.output_tokens) == (receipt.tokens.input, receipt.tokens.output)
    assert call.credential == "the argument token="
    assert call.seconds >= receipt.total_time
    assert call.cost is None
    assert call.cost_detail
    (attempt,) = one.attempts
    assert (attempt.status, attempt.error, attempt.number) == (200, None, 1)
    assert attempt.url.startswith(upstream.url)
    assert one.content is None


def test_without_a_log_nothing_has_an_id_and_no_file_is_made(face, serve, file: Path) -> None:
    answer = face.chat(face.client(serve(answers).url))
    assert answer.receipt.call_id is None
    with pytest.raises(APIError) as caught:
        face.chat(face.client(serve(saying(BUSY)).url), **ONCE)
    assert caught.value.call_id is None
    assert "logged" not in str(caught.value)
    face.close()
    assert list(file.parent.iterdir()) == []


def test_a_failed_call_has_every_attempt_and_its_error_says_the_id(face, serve, file) -> None:
    upstream = serve(saying(BUSY, BUSY))
    with pytest.raises(ServiceUnavailableError) as caught:
        face.chat(face.client(upstream.url, log=file, token=TOKEN), max_retries=1)
    one = only(face, file)
    assert one.call.id == caught.value.call_id
    assert one.call.id in str(caught.value)
    assert (one.call.outcome, one.call.error) == ("failed", "ServiceUnavailableError")
    assert (one.call.status, one.call.attempts) == (503, 2)
    assert [(a.number, a.status, a.error) for a in one.attempts] == [
        (1, 503, "ServiceUnavailableError"),
        (2, 503, "ServiceUnavailableError"),
    ]
    assert one.call.message == "busy, said [hidden]"


def test_a_stream_is_a_row_at_its_end(face, serve, file: Path) -> None:
    upstream = serve(saying(stream(*HELLO)))
    opened = face.stream(face.client(upstream.url, log=file), **ONCE)
    chunks, error = face.read(opened)
    assert chunks
    assert error is None
    one = only(face, file)
    assert one.call.id == opened.receipt.call_id
    assert (one.call.outcome, one.call.stream) == ("ok", True)
    assert one.call.first_token is not None
    assert (one.call.input_tokens, one.call.output_tokens) != (None, None)


def test_a_stream_that_is_collected_has_the_id_in_its_receipt(face, serve, file: Path) -> None:
    answer = face.collect(face.client(serve(saying(stream(*HELLO))).url, log=file), **ONCE)
    assert answer.receipt.call_id == only(face, file).call.id


def test_a_stream_that_is_left_is_a_row_with_what_had_come(face, serve, file: Path) -> None:
    upstream = serve(then_waits(STREAM_HEAD, *map(chunk, HELLO[:2])))
    opened = face.stream(face.client(upstream.url, log=file, log_content=True), **ONCE)
    assert face.next(opened).text
    face.run(opened.close())
    face.run(opened.close())
    one = only(face, file)
    assert (one.call.outcome, one.call.error, one.call.attempts) == ("left", None, 1)
    assert one.call.token_source == "estimated"
    assert one.content is not None
    assert "Hel" in (one.content.answered or "")


def test_a_stream_that_nobody_holds_any_more_was_left(face, serve, file: Path) -> None:
    upstream = serve(then_waits(STREAM_HEAD, *map(chunk, HELLO[:2])))
    opened = face.stream(face.client(upstream.url, log=file), **ONCE)
    assert face.next(opened).text
    del opened
    gc.collect()
    assert only(face, file).call.outcome == "left"


def test_a_stream_that_breaks_is_a_row_with_its_error(face, serve, file: Path) -> None:
    upstream = serve(then_resets(STREAM_HEAD, *map(chunk, HELLO[:2])))
    upstream.say("reset")
    chunks, error = face.read(face.stream(face.client(upstream.url, log=file), **ONCE))
    assert chunks
    assert isinstance(error, StreamTruncated)
    one = only(face, file)
    assert one.call.id == error.call_id == error.partial.receipt.call_id
    assert (one.call.outcome, one.call.error) == ("broken", "StreamTruncated")
    assert one.call.output_tokens


def test_a_stream_that_cannot_be_opened_failed(face, serve, file: Path) -> None:
    with pytest.raises(ServiceUnavailableError):
        face.stream(face.client(serve(saying(BUSY)).url, log=file), **ONCE)
    assert only(face, file).call.outcome == "failed"


def test_content_is_kept_only_where_it_is_wanted_and_without_secrets(face, serve, file) -> None:
    said = completion(f"I was told {TOKEN}.")
    upstream = serve(saying(whole(said)))
    client = face.client(upstream.url, log=file, log_content=True, token=TOKEN)
    picture = {"type": "image_url", "image_url": {"url": PICTURE}}
    asked = [{"role": "user", "content": [{"type": "text", "text": f"Keep {TOKEN}"}, picture]}]
    face.run(client.chat("m", asked, temperature=0.5))
    content = only(face, file).content
    assert content is not None
    asked_for = json.loads(content.asked)
    assert asked_for["parameters"] == {"temperature": 0.5}
    text, shown = asked_for["messages"][0]["content"]
    assert text["text"] == "Keep [hidden]"
    assert shown["image_url"]["url"] == f"data:image/png ({len(PICTURE):,} characters)"
    assert "I was told [hidden]." in (content.answered or "")
    assert TOKEN.encode() not in file.read_bytes()


def test_a_token_that_an_address_or_an_error_repeats_is_not_kept(face, serve, file: Path) -> None:
    secret = "a-key-of-no-known-shape"
    upstream = serve(saying(whole(f'{{"error": "bad key {secret}"}}'.encode(), 400)))
    client = face.client(f"{upstream.url}/for/{secret}/v1", log=file, token=secret)
    with pytest.raises(APIError):
        face.chat(client, **ONCE)
    one = only(face, file)
    assert (one.call.message or "").startswith("bad key ")
    assert "/for/[hidden]/v1" in one.attempts[0].url
    assert secret.encode() not in file.read_bytes()


def routed(url: str) -> dict[str, Any]:
    return {"settings": read_settings({"TRUNKLINE_ROUTER": url, "HF_ENDPOINT": url})}


def test_tasks_and_other_answers_are_rows_too(face, serve, file: Path) -> None:
    with serve_in_thread() as sandbox:
        client = face.client(
            None, log=file, token="hf_sandbox", bill_to="sandbox-org", **routed(sandbox.url)
        )
        face.run(client.embedding("sentence-transformers/all-MiniLM-L6-v2", ["a", "b"]))
        face.run(client.responses("openai/gpt-oss-120b", "Hello."))
        events = face.run(client.messages("openai/gpt-oss-120b", ASKED, max_tokens=9, stream=True))
        face.run(events.collect())
        face.close()
    calls = [one.call for one in kept(file)]
    assert [(c.task, c.outcome, c.stream) for c in calls] == [
        ("feature-extraction", "ok", False),
        ("responses", "ok", False),
        ("messages", "ok", True),
    ]
    assert {c.bill_to for c in calls} == {"sandbox-org"}


@pytest.mark.slow
def test_a_job_that_is_followed_to_its_end_is_one_row(face, serve, file: Path) -> None:
    with serve_in_thread() as sandbox:
        client = face.client(None, log=file, token="hf_sandbox", **routed(sandbox.url))
        video = face.run(client.text_to_video(VIDEO, "a cat"))
        one = only(face, file)
    assert one.call.id == video.receipt.call_id
    assert (one.call.task, one.call.outcome) == ("text-to-video", "ok")


def test_a_job_that_is_not_done_in_time_is_kept_so_that_it_can_be_resumed(serve, file) -> None:
    with serve_in_thread() as sandbox:
        with Client(log=file, token="hf_sandbox", **routed(sandbox.url)) as client:
            with pytest.raises(JobUnfinishedError) as caught:
                client.text_to_video(VIDEO, "a cat", deadline=0.6)
            client.cancel_job(caught.value.job)
        (one,) = kept(file)  # to cancel one is no call of its own
    assert (one.call.outcome, one.call.error) == ("failed", "JobUnfinishedError")
    assert one.call.job == str(caught.value.job)


def test_a_cost_is_an_exact_decimal_with_where_its_price_is_from(face, file: Path) -> None:
    with serve_in_thread() as sandbox:
        client = face.client(None, log=file, token="hf_sandbox", **routed(sandbox.url))
        face.run(client.catalog())
        answer = face.run(client.chat(LOADED, ASKED))
        known = face.run(client.cost(answer))
        face.close()
    (one,) = kept(file)
    assert known.amount is not None
    assert Decimal(one.call.cost or "") == known.amount
    assert one.call.cost_source == known.source == "catalog"
    assert one.call.cost_detail == known.detail
    assert one.call.prices_as_of is not None


def test_a_call_whose_caller_does_not_wait_tells_where_it_was(serve, file: Path) -> None:
    async def give_up() -> None:
        async with AsyncClient(
            api_base=upstream.url, log=file, settings=read_settings({})
        ) as client:
            task = asyncio.create_task(client.chat("m", ASKED))
            await asyncio.to_thread(upstream.wait, "asked")
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    def silent(visit) -> None:
        visit.request()
        visit.note("asked")
        visit.until_gone()

    upstream = serve(silent)
    asyncio.run(give_up())
    (one,) = kept(file)
    assert (one.call.outcome, one.call.error) == ("cancelled", None)
    (attempt,) = one.attempts
    assert (attempt.error, attempt.status) == ("cancelled", None)
    assert attempt.url.startswith(upstream.url)


def test_what_is_refused_before_it_begins_is_no_call(face, serve, file: Path) -> None:
    client = face.client(serve(answers).url, log=file)
    with pytest.raises(APIError):
        face.chat(client, temprature=1)
    face.chat(client)
    assert only(face, file).call.outcome == "ok"


def test_the_settings_decide_where_a_client_says_nothing(serve, tmp_path: Path) -> None:
    file = tmp_path / "told.db"
    settings = read_settings({"TRUNKLINE_LOG": str(file)})
    url = serve(answers).url
    with Client(api_base=url, settings=settings, log=False) as client:
        client.chat("m", ASKED)
    assert not file.exists()
    with Client(api_base=url, settings=settings) as client:
        client.chat("m", ASKED)
    assert len(kept(file)) == 1


def test_a_replayed_call_is_logged_only_where_its_client_says_so(tmp_path: Path) -> None:
    file, cassette = tmp_path / "users.db", tmp_path / "calls.json"
    settings = read_settings({"TRUNKLINE_LOG": str(file)})
    with serve_in_thread() as sandbox:
        there = msgspec.structs.replace(routed(sandbox.url)["settings"], log=settings.log)
        with Client("hf_sandbox", settings=there) as client, record(cassette):
            client.chat(LOADED, ASKED)
        with replay(cassette), Client("hf_sandbox", settings=there) as client:
            client.chat(LOADED, ASKED)
        assert not file.exists()
        with replay(cassette), Client("hf_sandbox", settings=there, log=True) as client:
            client.chat(LOADED, ASKED)
    assert len(kept(file)) == 1


def test_without_a_log_nothing_of_it_is_loaded() -> None:
    program = (
        "import sys, trunkline\n"
        "trunkline.Client(log=False).chat('sandbox/m', [{'role': 'user', 'content': 'x'}])\n"
        "found = {'sqlite3', 'trunkline.logbook', 'trunkline.store.call_log'} & set(sys.modules)\n"
        "assert not found, found\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
