"""Recording calls and answering them from the file: both clients, streams, failures, files, modes."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path

import pytest

import trunkline
from faces import ASKED, ONCE, Face
from loopback import (
    HELLO,
    answers,
    completion,
    event,
    saying,
    stream,
    then_resets,
    then_waits,
    whole,
)
from trunkline import APIConnectionError, AsyncClient, Client, StreamTruncated, Timeout
from trunkline.settings import read_settings
from trunkline.testing import (
    CassetteError,
    CassetteFileError,
    LeftOverError,
    NoMatchError,
    record,
    replay,
)

TOKEN = "hf_" + "a1" * 17


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cassettes" / "calls.json"


def rows(path: Path) -> list[dict]:
    return json.loads(path.read_text())["interactions"]


# what is recorded is told again


def test_a_chat_is_answered_from_the_file_and_nobody_is_asked(face: Face, serve, path) -> None:
    upstream = serve(answers)
    client = face.client(upstream.url)
    with record(path) as cassette:
        first = face.chat(client, temperature=0.5)
    assert len(cassette) == 1
    with replay(path) as cassette:
        again = face.chat(client, temperature=0.5)
    assert (again.text, again.usage, again.id) == (first.text, first.usage, first.id)
    assert (cassette.play_count, cassette.all_played) == (1, True)
    assert len(upstream.requests) == 1


def test_a_stream_is_told_again_event_by_event(face: Face, serve, path) -> None:
    upstream = serve(answers)
    with record(path):
        chunks, _ = face.read(face.stream(face.client(upstream.url)))
    upstream.close()
    with replay(path):
        again, error = face.read(face.stream(face.client(upstream.url)))
    assert error is None
    assert [c.text for c in again] == [c.text for c in chunks]
    assert rows(path)[0]["answer"]["events"] == [piece.decode() for piece in HELLO]


def test_a_client_with_a_transport_of_its_own_is_recorded_too(path) -> None:
    from trunkline.sandbox.inprocess import InProcessTransport

    transport = InProcessTransport()
    with Client(transport=transport, token=TOKEN) as client:
        with record(path):
            text = client.chat("org/fault-keep-alive", ASKED).text
        with replay(path):
            assert client.chat("org/fault-keep-alive", ASKED).text == text
    assert len(transport.requests) == 1


def test_the_default_clients_need_no_token_to_be_answered(trunkline_sandbox, path, monkeypatch):
    def program() -> tuple[str, list]:
        model = "deepseek-ai/DeepSeek-R1"
        vectors = trunkline.embedding(
            "huggingface/hf-inference/sentence-transformers/all-MiniLM-L6-v2", ["a", "b"]
        )
        return asyncio.run(trunkline.acompletion(model, ASKED)).text, vectors.vectors

    with record(path):
        first = program()
    asked = len(trunkline_sandbox.requests)
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setenv("HF_HOME", str(path.parent / "nobody"))
    with replay(path):
        assert program() == first
    assert len(trunkline_sandbox.requests) == asked


PICTURE = "huggingface/together/black-forest-labs/FLUX.1-schnell"


def test_a_form_and_a_file_come_back_to_the_byte(trunkline_sandbox, path) -> None:
    base = f"{trunkline_sandbox.url}/server/v1"

    def program() -> tuple[str, bytes]:
        said = trunkline.speech("sandbox/m", "Hello.", api_base=base, voice="alloy").content
        return trunkline.transcription("sandbox/m", said, api_base=base).text, said

    with record(path):
        first = program()
    with replay(path):
        assert program() == first
    asked = rows(path)[-1]["request"]
    assert {part["name"] for part in asked["form"]} >= {"model", "file"}
    assert asked["headers"]["content-type"] == "multipart/form-data"
    assert "base64" in rows(path)[0]["answer"]


def looked_up(path: Path) -> int:
    return sum("/api/models/" in row["request"]["url"] for row in rows(path))


def test_what_a_client_had_looked_up_before_is_looked_up_again(trunkline_sandbox, path) -> None:
    with Client() as client:
        client.image_generation(PICTURE, "a cat")
        with record(path):
            first = client.image_generation(PICTURE, "a cat").data[0].content
    assert looked_up(path) == 1
    with Client() as fresh, replay(path):
        assert fresh.image_generation(PICTURE, "a cat").data[0].content == first


def test_calls_at_the_same_time_share_a_look_up_in_a_replay_too(trunkline_sandbox, path) -> None:
    async def program() -> int:
        async with AsyncClient() as client:
            calls = [client.image_generation(PICTURE, "a cat") for _ in range(4)]
            return len({made.data[0].content for made in await asyncio.gather(*calls)})

    with record(path):
        assert asyncio.run(program()) == 1
    with replay(path):
        assert asyncio.run(program()) == 1
    assert looked_up(path) == 1


def test_threads_are_answered_side_by_side(path) -> None:
    texts = [f"number {n}" for n in range(8)]

    def ask(text: str) -> str:
        return trunkline.completion("sandbox/demo", [{"role": "user", "content": text}]).text

    with record(path):
        expected = {text: ask(text) for text in texts}
    found: dict[str, str] = {}
    with replay(path, match="lenient") as cassette:
        threads = [
            threading.Thread(target=lambda t=text: found.__setitem__(t, ask(t)))
            for text in reversed(texts)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == expected
    assert cassette.play_count == 8


# failures are told again


def failure(face: Face, client, **options) -> Exception:
    with pytest.raises(trunkline.APIError) as caught:
        face.chat(client, **ONCE, **options)
    return caught.value


def test_a_refused_connection_is_refused_again(face: Face, serve, path) -> None:
    upstream = serve(answers)
    upstream.close()
    client = face.client(upstream.url)
    with record(path):
        first = failure(face, client)
    with replay(path):
        again = failure(face, client)
    assert type(again) is type(first) is APIConnectionError
    assert str(again) == str(first)
    assert again.sent is first.sent is False
    assert "status" not in rows(path)[0]["answer"]


def test_a_cut_stream_is_cut_again_with_what_came_before(face: Face, serve, path) -> None:
    upstream = serve(then_resets(stream(event("Hel"))[:-5]))
    client = face.client(upstream.url)
    with record(path):
        opened = face.stream(client)
        assert face.next(opened).text == "Hel"
        upstream.say("reset")
        _, first = face.read(opened)
    with replay(path):
        chunks, again = face.read(face.stream(client))
    assert isinstance(first, StreamTruncated)
    assert isinstance(again, StreamTruncated)
    assert ([c.text for c in chunks], again.text) == (["Hel"], first.text)


def test_an_error_of_the_provider_is_raised_again(face: Face, serve, path) -> None:
    body = b'{"error":{"message":"Too many","type":"rate_limit"}}'
    client = face.client(serve(saying(whole(body, 429, retry_after="0.001"))).url)
    with record(path):
        first = failure(face, client)
    with replay(path):
        again = failure(face, client)
    assert type(again) is type(first) is trunkline.RateLimitError
    assert again.retry_after == first.retry_after == 0.001


def test_a_time_limit_passes_again_at_once(face: Face, serve, path) -> None:
    client = face.client(serve(then_waits()).url)
    with record(path):
        first = failure(face, client, deadline=0.15)
    with replay(path):
        again = failure(face, client, deadline=0.15)
    assert type(again) is type(first) is trunkline.DeadlineExceeded


def test_a_silent_stream_is_silent_again(face: Face, serve, path) -> None:
    client = face.client(serve(then_waits(stream(event("Hel"))[:-5])).url)
    limits = trunkline.Timeouts(idle=0.15)
    with record(path):
        _, first = face.read(face.stream(client, timeout=limits))
    with replay(path):
        _, again = face.read(face.stream(client, timeout=limits))
    assert isinstance(first, (Timeout, StreamTruncated))
    assert type(again) is type(first)


# waits


def written(path: Path, *found: dict) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"trunkline_cassette": 1, "interactions": list(found)}))
    return path


def asked(url: str, **more: object) -> dict:
    body = {"model": "m", "messages": ASKED, **more}
    return {"method": "POST", "url": f"{url}/chat/completions", "json": body}


@pytest.mark.timeout(30)
def test_waits_take_no_time_and_are_on_the_receipt(face: Face, bare_environment, path) -> None:
    url = "http://127.0.0.1:9/v1"
    busy = {"status": 503, "headers": {"retry-after": "100"}, "seconds": 7.0, "text": "busy"}
    good = {"status": 200, "headers": {"content-type": "application/json"}, "seconds": 2.0}
    good["json"] = json.loads(completion())
    pairs = [busy, busy, good]
    written(path, *({"request": asked(url), "answer": answer} for answer in pairs))
    with replay(path):
        answer = face.chat(face.client(url))
    receipt = answer.receipt
    assert [round(a.seconds) for a in receipt.attempts] == [7, 7, 2]
    assert receipt.attempts[1].started >= 107
    assert receipt.total_time >= 216


@pytest.mark.timeout(30)
def test_a_deadline_passes_by_the_waits_that_were_not_waited(face: Face, bare_environment, path):
    url = "http://127.0.0.1:9/v1"
    busy = {"status": 503, "headers": {"retry-after": "100"}, "text": "busy"}
    written(path, {"request": asked(url), "answer": busy})
    with replay(path), pytest.raises(trunkline.ServiceUnavailableError):
        face.chat(face.client(url), deadline=50)


@pytest.mark.timeout(30)
def test_a_stream_after_a_wait_has_times_that_fit(face: Face, bare_environment, path) -> None:
    url = "http://127.0.0.1:9/v1"
    busy = {"status": 503, "headers": {"retry-after": "100"}, "text": "busy"}
    events = [piece.decode() for piece in HELLO]
    good = {"status": 200, "headers": {"content-type": "text/event-stream"}, "events": events}
    request = asked(url, stream=True, stream_options={"include_usage": True})
    written(path, *({"request": request, "answer": answer} for answer in (busy, good)))
    with replay(path):
        receipt = face.collect(face.client(url)).receipt
    assert 100 <= receipt.time_to_first_token <= receipt.total_time < 130


@pytest.mark.slow
@pytest.mark.timeout(60)
@pytest.mark.parametrize("awaited", [False, True], ids=["blocking", "awaited"])
def test_a_job_is_followed_again_without_waiting(trunkline_sandbox, path, awaited) -> None:
    def program() -> tuple[bytes, int]:
        model = "huggingface/fal-ai/Wan-AI/Wan2.1-T2V-14B"
        if awaited:
            made = asyncio.run(trunkline.atext_to_video(model, "a cat"))
        else:
            made = trunkline.text_to_video(model, "a cat")
        return made.content, round(made.receipt.total_time)

    with record(path):
        first = program()
    count = len(trunkline_sandbox.requests)
    with replay(path):
        assert program() == first
    assert len(trunkline_sandbox.requests) == count


# leaving early


def test_who_leaves_a_stream_at_the_same_place_gets_as_far(face: Face, serve, path) -> None:
    upstream = serve(then_waits(stream(event("Hel"))[:-5]))
    client = face.client(upstream.url)

    def first_of(stream_) -> str:
        text = face.next(stream_).text
        face.run(stream_.close())
        return text

    with record(path):
        assert first_of(face.stream(client)) == "Hel"
    assert rows(path)[0]["answer"]["left"] is True
    with replay(path):
        assert first_of(face.stream(client)) == "Hel"
    with pytest.raises(CassetteError, match="went away before"), replay(path):
        face.read(face.stream(client))


def test_a_cancelled_call_is_in_the_file_as_one_that_was_left(serve, path) -> None:
    upstream = serve(then_waits())

    async def program() -> None:
        async with AsyncClient(settings=read_settings({})) as client:
            call = asyncio.create_task(client.chat("m", ASKED, api_base=upstream.url))
            await asyncio.to_thread(upstream.wait, "sent")
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call

    with record(path):
        asyncio.run(program())
    assert rows(path)[0]["answer"] == {"left": True}


# files


def test_a_program_that_fails_leaves_a_whole_file_of_what_came(path) -> None:
    with pytest.raises(ZeroDivisionError), record(path):
        trunkline.completion("sandbox/demo", ASKED)
        trunkline.completion("sandbox/demo", ASKED, stream=True)
        raise ZeroDivisionError
    assert [row["answer"]["status"] for row in rows(path)] == [200, 200]
    assert rows(path)[1]["answer"]["left"] is True
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_file_that_cannot_be_written_leaves_nothing_behind(tmp_path) -> None:
    place = tmp_path / "taken"
    place.mkdir()
    with pytest.raises(OSError, match="directory"), record(place):
        trunkline.completion("sandbox/demo", ASKED)
    assert list(tmp_path.iterdir()) == [place]


def test_the_same_calls_make_the_same_file_but_for_times(path) -> None:
    texts = []
    for _ in range(2):
        with record(path):
            trunkline.completion("sandbox/demo", ASKED)
            list(trunkline.completion("sandbox/demo", ASKED, stream=True))
        texts.append([line for line in path.read_text().splitlines() if '"seconds"' not in line])
    assert texts[0] == texts[1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "cannot be read"),
        ("[]", "is no cassette"),
        ('{"trunkline_cassette": 99, "interactions": []}', "version 99"),
        ('{"trunkline_cassette": 1}', "no list of interactions"),
        ('{"trunkline_cassette": 1, "interactions": [{}]}', "interaction 1"),
        (
            '{"trunkline_cassette": 1, "interactions": [{"request": {"method": "GET", "url": "x"}, '
            '"answer": {"status": 200, "base64": "?"}}]}',
            "interaction 1",
        ),
    ],
)
def test_a_file_that_is_no_cassette_says_what_is_wrong(path, text, said) -> None:
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(CassetteFileError, match=said), replay(path):
        raise AssertionError("it began")


def test_wrong_words_are_refused_before_anything_is_read(path) -> None:
    with (
        pytest.raises(trunkline.ConfigurationError, match="match is 'exact'"),
        replay(path, "exact"),
    ):
        pass
    wrong = pytest.raises(trunkline.ConfigurationError, match="mode is 'some'")
    with wrong, replay(path, mode="some"):
        pass


# modes


def say(text: str, **more: object) -> str:
    return trunkline.completion("sandbox/demo", [{"role": "user", "content": text}], **more).text


def test_no_file_is_an_error_that_says_how_to_record(path) -> None:
    with pytest.raises(CassetteFileError, match=r"record\("), replay(path):
        raise AssertionError("it began")


def test_once_records_where_there_is_no_file_and_only_there(path) -> None:
    with replay(path, mode="once") as cassette:
        first = say("one")
    assert (len(cassette), cassette.play_count) == (1, 0)
    with replay(path, mode="once") as cassette:
        assert say("one") == first
    assert cassette.play_count == 1
    with pytest.raises(NoMatchError), replay(path, mode="once"):
        say("two")
    assert len(rows(path)) == 1


def test_new_episodes_records_what_is_missing_behind_what_is_there(path) -> None:
    with replay(path, mode="new_episodes"):
        say("one")
    before = rows(path)
    with replay(path, mode="new_episodes") as cassette:
        say("two")
        say("one")
    assert cassette.play_count == 1
    assert rows(path)[:1] == before
    assert len(rows(path)) == 2
    with replay(path, match="lenient"):
        say("one")
        say("two")


def test_all_records_everything_anew(path) -> None:
    with record(path):
        say("one")
    with replay(path, mode="all") as cassette:
        say("two")
    assert cassette.play_count == 0
    assert len(rows(path)) == 1


# matching


def test_strict_wants_the_same_in_the_same_order(path) -> None:
    with record(path):
        say("one")
        say("two")
    with pytest.raises(NoMatchError) as caught, replay(path):
        say("two")
    assert caught.value.differences == (
        'body.messages[0].content: "one" was recorded, "two" is asked',
    )
    assert "number 1 of 2 is next" in str(caught.value)
    assert "recorded as number 2" in str(caught.value)
    assert "lenient" in str(caught.value)


def test_strict_answers_each_once(path) -> None:
    with record(path):
        say("one")
    with pytest.raises(NoMatchError, match="nothing is left"), replay(path):
        say("one")
        say("one")


def test_strict_wants_all_of_it(path) -> None:
    with record(path):
        say("one")
        say("two")
    with pytest.raises(LeftOverError, match="1 of the 2 requests") as caught, replay(path):
        say("one")
    (left,) = caught.value.left
    assert left.startswith("2. POST sandbox://sandbox/v1/chat/completions")


def test_what_is_left_over_does_not_hide_why_the_program_failed(path) -> None:
    with record(path):
        say("one")
    with pytest.raises(ZeroDivisionError), replay(path):
        raise ZeroDivisionError


def test_lenient_passes_over_order_repeats_and_other_fields(path) -> None:
    with record(path):
        one = say("one")
        two = say("two", temperature=0.1)
    with replay(path, match="lenient") as cassette:
        assert say("two", temperature=0.1) == two
        assert say("one") == one
        assert say("one") == one
        assert say("two", temperature=0.9) == two
    assert cassette.play_count == 4


def test_lenient_wants_the_same_model(path) -> None:
    with record(path):
        say("one")
    with pytest.raises(NoMatchError, match="body.model"), replay(path, match="lenient"):
        trunkline.completion("sandbox/other", [{"role": "user", "content": "one"}])


def test_an_error_of_the_cassette_is_no_error_of_the_call(path) -> None:
    with record(path):
        say("one")
    with pytest.raises(NoMatchError), replay(path):
        try:
            say("two")
        except trunkline.APIError:
            raise AssertionError("a program would take it for its provider's") from None


def test_a_program_that_swallows_the_error_hears_of_it_at_the_end(path) -> None:
    with record(path):
        say("one")
    with pytest.raises(NoMatchError, match="was not recorded"), replay(path):
        try:
            say("two")
        except Exception:
            say("one")


def test_an_inner_cassette_counts_for_its_length(tmp_path) -> None:
    with record(tmp_path / "outer.json"):
        say("one")
        with record(tmp_path / "inner.json"):
            say("two")
        say("three")
    contents = [
        [row["request"]["json"]["messages"][0]["content"] for row in rows(tmp_path / name)]
        for name in ("outer.json", "inner.json")
    ]
    assert contents == [["one", "three"], ["two"]]


@pytest.mark.timeout(30)
def test_a_replay_has_as_many_retries_as_there_were(face: Face, bare_environment, path) -> None:
    url = "http://127.0.0.1:9/v1"
    busy = {"status": 503, "headers": {}, "text": "busy"}
    good = {"status": 200, "headers": {"content-type": "application/json"}}
    good["json"] = json.loads(completion())
    written(path, *({"request": asked(url), "answer": a} for a in (busy, busy, good) * 20))
    with replay(path):
        client = face.client(url)
        for _ in range(20):
            assert len(face.chat(client).receipt.attempts) == 3


@pytest.mark.timeout(30)
@pytest.mark.parametrize("late", [True, False])
def test_a_deadline_passes_however_long_the_program_took_before(
    face: Face, bare_environment, path, late
) -> None:
    url = "http://127.0.0.1:9/v1"
    error = {"type": "Timeout", "message": "late", "sent": True, "seconds": 3.0, "late": late}
    written(path, {"request": asked(url), "answer": {"error": error}})
    with replay(path):
        found = failure(face, face.client(url), deadline=10)
    assert type(found) is (trunkline.DeadlineExceeded if late else Timeout)
