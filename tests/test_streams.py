"""Streams as a caller holds them: chunks, the whole, errors in their place, and the receipt."""

from __future__ import annotations

import gc
import weakref

import pytest

from faces import ASKED, ONCE
from loopback import (
    DONE,
    HELLO,
    LAST,
    STREAM_HEAD,
    UNFRAMED_HEAD,
    answers,
    chunk,
    completion,
    data,
    event,
    saying,
    stream,
    then_resets,
    then_waits,
    usage_event,
    whole,
)
from trunkline import (
    APIConnectionError,
    AsyncClient,
    InternalServerError,
    InvalidResponseError,
    RateLimitError,
    StreamTruncated,
    Usage,
)

OVERLOADED = data({"error": {"message": "overloaded", "code": 503}})


def opened(face, serve, *pieces: bytes):
    """Open a stream of these pieces."""
    upstream = serve(saying(stream(*pieces)))
    return face.stream(face.client(upstream.url), **ONCE)


# reading


def test_chunks_come_as_they_were_sent(face, serve) -> None:
    chunks, error = face.read(opened(face, serve, *HELLO))
    assert error is None
    assert [chunk.text for chunk in chunks] == ["Hel", "lo", "", ""]
    assert chunks[2].choices[0].finish_reason == "stop"


def test_chunks_come_when_they_are_sent_and_not_later(face, serve) -> None:
    def script(visit) -> None:
        visit.request()
        visit.send(STREAM_HEAD, chunk(event("Hel")))
        visit.hold("go on")
        visit.send(chunk(event("lo")), chunk(event(finish="stop")), chunk(DONE), LAST)

    upstream = serve(script)
    reading = face.stream(face.client(upstream.url), **ONCE)
    assert face.next(reading).text == "Hel"
    upstream.say("go on")
    assert [chunk.text for chunk in face.read(reading)[0]] == ["lo", ""]


def test_text_is_the_content_alone(face, serve) -> None:
    reading = opened(face, serve, *HELLO)
    if face.name == "blocking":
        texts = list(reading.text)
    else:

        async def gathered() -> list[str]:
            return [text async for text in reading.text]

        texts = face.run(gathered())
    assert texts == ["Hel", "lo"]


def test_collect_gives_the_whole_also_after_some_chunks(face, serve) -> None:
    reading = opened(face, serve, *HELLO)
    face.next(reading)
    answer = face.run(reading.collect())
    assert answer.text == "Hello"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens == 5
    assert face.run(reading.collect()) == answer


def test_the_completion_grows_while_reading_and_is_whole_at_the_end(face, serve) -> None:
    def script(visit) -> None:
        visit.request()
        visit.send(STREAM_HEAD, chunk(HELLO[0]))
        visit.hold("go on")
        visit.send(*map(chunk, HELLO[1:]), LAST)

    upstream = serve(script)
    reading = face.stream(face.client(upstream.url), **ONCE)
    face.next(reading)
    assert reading.completion.text == "Hel"
    assert reading.completion.choices[0].finish_reason is None
    assert reading.usage is None
    assert reading.receipt.attempts[0].error is None
    upstream.say("go on")
    face.read(reading)
    assert reading.completion.text == "Hello"
    assert reading.usage == Usage(prompt_tokens=3, completion_tokens=2, total_tokens=5)
    assert reading.completion is reading.completion


def test_a_stream_is_its_own_iterator(face, serve) -> None:
    reading = opened(face, serve, *HELLO)
    assert (iter if face.name == "blocking" else aiter)(reading) is reading


def test_printing_a_chunk_shows_something_short(face, serve, capsys) -> None:
    for one in face.read(opened(face, serve, event("Hi " * 500), *HELLO))[0]:
        print(one)
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) < 120 for line in lines)
    assert lines[1:3] == ["Chunk('Hel')", "Chunk('lo')"]
    assert "finish=stop" in lines[3]
    assert "3" in lines[4]


def test_usage_is_asked_for_and_its_frame_has_a_choice_to_look_at(face, serve) -> None:
    upstream = serve(saying(stream(*HELLO)))
    reading = face.stream(face.client(upstream.url), **ONCE)
    chunks = face.read(reading)[0]
    assert upstream.requests[0].json["stream_options"] == {"include_usage": True}
    assert chunks[-1].choices[0].delta.content is None
    assert chunks[-1].usage.total_tokens == 5


def test_the_usage_frame_stays_as_it_is_for_who_asks_for_it(face, serve) -> None:
    upstream = serve(saying(stream(*HELLO)))
    asked = {"stream_options": {"include_usage": True}}
    reading = face.stream(face.client(upstream.url), **asked, **ONCE)
    assert face.read(reading)[0][-1].choices == []


def test_an_async_stream_opens_when_it_is_first_used(runner, serve) -> None:
    upstream = serve(answers)
    client = AsyncClient(api_base=upstream.url)

    async def main() -> None:
        unread = client.stream("m", ASKED)
        assert unread.completion.choices == []
        assert (unread.usage, unread.receipt) == (None, None)
        await unread.close()
        assert upstream.visits == []
        async with client.stream("m", ASKED) as reading:
            assert len(upstream.visits) == 1
            assert await reading is reading
            assert (await reading.collect()).text == "Hello"
        assert len(upstream.requests) == 1
        await client.close()

    runner.run(main())


# endings


@pytest.mark.parametrize(
    "pieces",
    [
        (event("Hi"), event(finish="stop")),
        (event("Hi"), event(finish="stop"), usage_event()),
        (event("Hi", finish="stop")[:-2],),
        (event("Hi"), event(finish="length"), b"data: [DONE]"),
    ],
    ids=["no [DONE]", "usage last", "no blank line", "bare [DONE]"],
)
def test_a_finish_reason_is_enough_of_an_end(face, serve, pieces) -> None:
    assert face.run(opened(face, serve, *pieces).collect()).text == "Hi"


CUTS = {
    "closed between events": saying(UNFRAMED_HEAD + event("Hel") + event("lo")),
    "chunked, ended properly": saying(stream(event("Hel"), event("lo"))),
    "chunked, no last chunk": saying(STREAM_HEAD + chunk(event("Hel")) + chunk(event("lo"))),
    "closed inside an event": saying(UNFRAMED_HEAD + event("Hel") + event("lo") + event("!")[:-9]),
    "closed inside a chunk": saying(
        STREAM_HEAD + chunk(event("Hel")) + chunk(event("lo")) + chunk(event("!"))[:-20]
    ),
    "[DONE] without a finish reason": saying(stream(event("Hel"), event("lo"), DONE)),
}


@pytest.mark.parametrize("cut", CUTS)
def test_a_stream_that_ends_before_its_answer_is_truncated(face, serve, cut) -> None:
    upstream = serve(CUTS[cut])
    reading = face.stream(face.client(upstream.url))
    chunks, error = face.read(reading)
    assert [chunk.text for chunk in chunks] == ["Hel", "lo"]
    assert isinstance(error, StreamTruncated)
    assert error.text == error.partial.text == "Hello"
    assert error.partial.choices[0].finish_reason is None
    assert error.usage is None
    assert len(upstream.visits) == 1  # after the first event nothing is tried again
    receipt = error.partial.receipt
    assert receipt.tokens.source == "estimated"
    assert [attempt.error for attempt in receipt.attempts] == ["StreamTruncated"]
    assert reading.completion == error.partial


def test_a_reset_in_the_middle_is_truncated_with_its_cause(face, serve) -> None:
    upstream = serve(then_resets(STREAM_HEAD, chunk(event("Hel")), chunk(usage_event())))
    reading = face.stream(face.client(upstream.url))
    assert face.next(reading).text == "Hel"
    assert face.next(reading).usage is not None
    upstream.say("reset")
    _, error = face.read(reading)
    assert isinstance(error, StreamTruncated)
    assert isinstance(error.__cause__, APIConnectionError)
    assert "broke the connection" in str(error)
    assert error.usage.total_tokens == 5


def test_collecting_what_was_truncated_or_left_never_gives_it_as_whole(face, serve) -> None:
    reading = opened(face, serve, event("Hel"))
    for _ in range(2):
        with pytest.raises(StreamTruncated):
            face.run(reading.collect())
    upstream = serve(then_waits(STREAM_HEAD, chunk(event("Hel"))))
    reading = face.stream(face.client(upstream.url), **ONCE)
    face.next(reading)
    face.run(reading.close())
    with pytest.raises(StreamTruncated, match="closed before its end") as caught:
        face.run(reading.collect())
    assert caught.value.text == "Hel"


def test_an_error_in_the_stream_comes_after_the_chunks_before_it(face, serve) -> None:
    upstream = serve(saying(stream(event("Hel") + event("lo") + OVERLOADED + event("never"))))
    reading = face.stream(face.client(upstream.url))
    chunks, error = face.read(reading)
    assert [chunk.text for chunk in chunks] == ["Hel", "lo"]
    assert isinstance(error, InternalServerError)
    assert "overloaded" in str(error)
    assert len(upstream.visits) == 1
    assert reading.completion.text == "Hello"
    assert [attempt.error for attempt in error.attempts] == [type(error).__name__]


def test_a_named_error_event_is_an_error(face, serve) -> None:
    named = b'event: error\ndata: {"message": "slow down", "code": 429}\n\n'
    _, error = face.read(opened(face, serve, event("Hel"), named))
    assert isinstance(error, RateLimitError)


def test_an_event_larger_than_the_limit_is_an_error(face, serve) -> None:
    chunks, error = face.read(opened(face, serve, event("Hel"), event("x" * 2_000_000)))
    assert len(chunks) == 1
    assert "larger than 1048576 bytes" in str(error)


def test_json_instead_of_a_stream_is_the_error_that_it_says(face, serve) -> None:
    upstream = serve(saying(whole(b'{"error": {"message": "slow down", "code": 429}}')))
    with pytest.raises(RateLimitError, match="slow down"):
        face.stream(face.client(upstream.url), **ONCE)


def test_a_whole_answer_instead_of_a_stream_is_refused_and_not_empty(face, serve) -> None:
    upstream = serve(saying(whole(completion())))
    with pytest.raises(InvalidResponseError, match="application/json"):
        face.stream(face.client(upstream.url), **ONCE)


# trying again


def refusing(*answers_: bytes):
    """Fail with each of these in turn, a connection each, and then answer."""
    return [*(saying(answer) for answer in answers_), answers]


BUSY = whole(b"{}", 503, retry_after="0", connection="close")


@pytest.mark.parametrize(
    "failure",
    [
        BUSY,
        whole(b'{"error": {"message": "slow down"}}', 429, retry_after="0"),
        stream(data({"error": {"message": "slow down", "code": 429, "retry_after": 0}})),
    ],
    ids=["503", "429", "error in the stream"],
)
def test_what_fails_before_the_first_event_is_tried_again(face, serve, failure) -> None:
    upstream = serve(*refusing(failure, failure))
    answer = face.collect(face.client(upstream.url))
    assert answer.text == "Hello"
    attempts = answer.receipt.attempts
    assert [attempt.number for attempt in attempts] == [1, 2, 3]
    assert [attempt.error is None for attempt in attempts] == [False, False, True]
    assert len(upstream.requests) == 3


def test_a_stream_that_is_cut_before_its_first_event_is_tried_again(face, serve) -> None:
    upstream = serve(*refusing(STREAM_HEAD + chunk(b": hello\n\n")))
    answer = face.collect(face.client(upstream.url), max_retries=1)
    assert answer.text == "Hello"
    assert [attempt.error for attempt in answer.receipt.attempts] == ["StreamTruncated", None]


def test_it_is_not_tried_more_often_than_allowed(face, serve) -> None:
    upstream = serve(saying(BUSY))
    with pytest.raises(InternalServerError) as caught:
        face.stream(face.client(upstream.url), max_retries=1)
    assert len(caught.value.attempts) == len(upstream.visits) == 2


# receipts


def test_a_receipt_tells_who_served_and_how_long_it_took(face, serve) -> None:
    response = stream(*HELLO).replace(
        b"\r\n", b"\r\nx-inference-provider: groq\r\nx-request-id: req-7\r\n", 1
    )
    upstream = serve(saying(BUSY), saying(response))
    answer = face.collect(face.client(upstream.url))
    receipt = answer.receipt
    assert (receipt.provider, receipt.request_id, receipt.model) == ("groq", "req-7", "m")
    assert [attempt.status for attempt in receipt.attempts] == [503, 200]
    assert 0 < receipt.time_to_first_token <= receipt.total_time
    assert (receipt.tokens.input, receipt.tokens.output, receipt.tokens.source) == (
        3,
        2,
        "provider",
    )
    assert receipt.attempts[1].started >= receipt.attempts[0].started


def test_a_whole_answer_has_a_receipt_too(face, serve) -> None:
    response = whole(completion(), x_inference_provider="groq", x_request_id="req-7")
    upstream = serve(saying(BUSY), saying(response))
    receipt = face.chat(face.client(upstream.url)).receipt
    assert (receipt.provider, receipt.request_id) == ("groq", "req-7")
    assert receipt.time_to_first_token is None
    assert len(receipt.attempts) == 2


def test_the_receipt_of_a_stream_that_was_left_stops_there(face, serve) -> None:
    upstream = serve(then_waits(STREAM_HEAD, chunk(event("Hel"))))
    reading = face.stream(face.client(upstream.url), **ONCE)
    face.next(reading)
    face.run(reading.close())
    assert reading.receipt == reading.receipt
    assert reading.completion.text == "Hel"


def test_an_error_carries_where_it_happened(face, serve) -> None:
    response = whole(b'{"error": "no"}', 400, x_inference_provider="groq", x_request_id="req-7")
    upstream = serve(saying(response))
    with pytest.raises(Exception, match="req-7") as caught:
        face.chat(face.client(upstream.url))
    assert caught.value.provider == "groq"
    assert caught.value.model == "m"
    assert caught.value.attempts[0].url == f"{upstream.url}/chat/completions"


# holding and letting go


def test_a_stream_that_nobody_holds_is_gone_without_the_collector(face, serve) -> None:
    upstream = serve(then_waits(STREAM_HEAD, chunk(event("Hel"))))
    reading = face.stream(face.client(upstream.url), **ONCE)
    face.next(reading)
    held = weakref.ref(reading)
    gc.collect()  # what asyncio leaves of the task that read
    gc.disable()
    try:
        del reading
        assert held() is None
        face.run(face.client().close())  # a turn of the loop
        assert upstream.visits[0].gone.wait(10)
    finally:
        gc.enable()
