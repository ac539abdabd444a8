"""One exchange after another: connections that are kept, lost and cut, whole answers and capped."""

from __future__ import annotations

import threading

import pytest

from faces import ONCE, Face
from loopback import (
    LAST,
    STREAM_HEAD,
    UNFRAMED_HEAD,
    answers,
    chunk,
    completion,
    event,
    open_sockets,
    saying,
    sockets_settle,
    stream,
    then_resets,
    whole,
)
from trunkline import (
    APIConnectionError,
    InvalidResponseError,
    RateLimitError,
    RequestTooLargeError,
    Timeouts,
)
from trunkline.transport.aio import AioTransport
from trunkline.transport.blocking import BlockingTransport
from trunkline.wire.http1_read import HttpLimits


def transport_for(face, **options):
    return BlockingTransport(**options) if face.name == "blocking" else AioTransport(**options)


# what a connection serves


def test_a_call_brings_an_answer(face, serve) -> None:
    upstream = serve(answers)
    answer = face.chat(face.client(upstream.url))
    assert answer.text == "Hello"
    assert upstream.requests[0].target == "/v1/chat/completions"


def test_many_calls_share_one_connection_streamed_or_not(face, serve) -> None:
    upstream = serve(answers)
    client = face.client(upstream.url)
    for _ in range(5):
        face.chat(client, **ONCE)
        face.collect(client, **ONCE)
    assert len(upstream.requests) == 10
    assert len(upstream.visits) == 1


def test_a_connection_that_carried_an_error_is_used_again(face, serve) -> None:
    refusal = whole(b'{"error": {"message": "slow down"}}', 429)
    upstream = serve(saying(refusal, whole(completion())))
    client = face.client(upstream.url)
    with pytest.raises(RateLimitError):
        face.chat(client, **ONCE)
    assert face.chat(client, **ONCE).text == "Hello"
    assert len(upstream.visits) == 1


@pytest.mark.parametrize(
    "answer",
    [
        whole(completion(), connection="close"),
        whole(completion()).replace(b"HTTP/1.1", b"HTTP/1.0"),
    ],
    ids=["connection: close", "HTTP/1.0"],
)
def test_a_server_that_says_it_will_close_is_not_asked_again_there(face, serve, answer) -> None:
    def script(visit) -> None:
        visit.request()
        visit.send(answer)
        visit.until_gone()

    upstream = serve(script)
    client = face.client(upstream.url)
    for _ in range(2):
        assert face.chat(client, **ONCE).text == "Hello"
    assert len(upstream.visits) == 2
    assert upstream.visits[0].gone.wait(5)


def test_http_1_0_with_keep_alive_is_kept(face, serve) -> None:
    old = whole(completion(), connection="keep-alive").replace(b"HTTP/1.1", b"HTTP/1.0")
    upstream = serve(saying(old, old))
    client = face.client(upstream.url)
    for _ in range(2):
        assert face.chat(client, **ONCE).text == "Hello"
    assert len(upstream.visits) == 1


def test_a_body_may_end_with_the_connection(face, serve) -> None:
    unframed = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n" + completion()
    upstream = serve(saying(unframed))
    client = face.client(upstream.url)
    assert face.chat(client, **ONCE).text == "Hello"
    assert face.chat(client, **ONCE).text == "Hello"
    assert len(upstream.visits) == 2


def test_a_stream_may_end_with_the_connection(face, serve) -> None:
    upstream = serve(saying(UNFRAMED_HEAD + event("Hi") + event(finish="stop")))
    assert face.collect(face.client(upstream.url), **ONCE).text == "Hi"


def test_interim_answers_are_passed_over(face, serve) -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"
    upstream = serve(saying(interim + whole(completion()), whole(completion())))
    client = face.client(upstream.url)
    for _ in range(2):
        assert face.chat(client, **ONCE).text == "Hello"
    assert len(upstream.visits) == 1


def test_endless_interim_answers_are_an_error(face, serve) -> None:
    def script(visit) -> None:
        visit.request()
        while True:
            visit.send(b"HTTP/1.1 102 Processing\r\n\r\n" * 1000)

    upstream = serve(script)
    with pytest.raises(APIConnectionError, match="larger than"):
        face.chat(face.client(upstream.url), **ONCE)


def test_an_answer_without_content_is_an_error_and_keeps_the_connection(face, serve) -> None:
    upstream = serve(saying(b"HTTP/1.1 204 No Content\r\n\r\n", whole(completion())))
    client = face.client(upstream.url)
    with pytest.raises(InvalidResponseError):
        face.chat(client, **ONCE)
    assert face.chat(client, **ONCE).text == "Hello"
    assert len(upstream.visits) == 1


def test_something_that_is_not_http_is_an_error_that_says_so(face, serve) -> None:
    upstream = serve(saying(b"SSH-2.0-OpenSSH_9.2\r\n"))
    with pytest.raises(APIConnectionError, match="not a proper answer") as caught:
        face.chat(face.client(upstream.url))
    assert len(caught.value.attempts) == 1  # bytes came: it is not asked again
    assert len(upstream.visits) == 1


def test_an_answer_that_comes_while_a_large_body_is_sent_is_read(face, serve) -> None:
    """A server may refuse by the head alone and close without reading the rest."""

    def script(visit) -> None:
        visit.head()
        visit.answer(b'{"error": {"message": "too large"}}', 413, connection="close")
        visit.close()

    upstream = serve(script)
    with pytest.raises(RequestTooLargeError, match="too large"):
        face.chat(face.client(upstream.url), user="x" * 20_000_000, **ONCE)


def test_a_connection_with_an_unsent_rest_is_not_used_again(face, serve) -> None:
    def refuses(visit) -> None:
        visit.head()
        visit.answer(b'{"error": {"message": "too large"}}', 413)
        visit.hold("second call done")
        visit.close()

    if face.name == "blocking":
        pytest.skip("a blocking client has sent everything before it reads")
    upstream = serve(refuses, answers)
    client = face.client(upstream.url)
    with pytest.raises(RequestTooLargeError):
        face.chat(client, user="x" * 20_000_000, **ONCE)
    assert face.chat(client, timeout=5, **ONCE).text == "Hello"
    upstream.say("second call done")


def test_large_bodies_arrive_whole_both_ways(face, serve) -> None:
    text = "0123456789" * 500_000
    upstream = serve(saying(whole(completion(text))))
    answer = face.chat(face.client(upstream.url), user=text, **ONCE)
    assert answer.text == text
    assert upstream.requests[0].json["user"] == text


# limits


@pytest.mark.parametrize("framing", ["length", "chunked", "compressed"])
def test_an_answer_larger_than_the_limit_is_refused(face, serve, framing) -> None:
    import gzip

    body = completion("x" * 3_000_000)
    response = {
        "length": whole(body),
        "chunked": stream(body).replace(b"text/event-stream", b"application/json"),
        "compressed": whole(gzip.compress(body), content_encoding="gzip"),
    }[framing]
    upstream = serve(saying(response))
    transport = transport_for(face, limits=HttpLimits(body=1_000_000))
    client = face.client(upstream.url, transport=transport)
    with pytest.raises(APIConnectionError, match="larger than 1000000 bytes"):
        face.chat(client, **ONCE)


def test_a_head_larger_than_the_limit_is_refused(face, serve) -> None:
    upstream = serve(saying(b"HTTP/1.1 200 OK\r\nx-long: " + b"x" * 200_000))
    with pytest.raises(APIConnectionError, match="head is larger than"):
        face.chat(face.client(upstream.url), **ONCE)


def test_html_instead_of_a_stream_is_read_a_little_and_refused(face, serve) -> None:
    def script(visit) -> None:
        visit.request()
        visit.send(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 50000000\r\n\r\n"
        )
        while True:
            visit.send(b"<p>sorry</p>" * 1000)

    upstream = serve(script)
    with pytest.raises(InvalidResponseError, match="text/html"):
        face.stream(face.client(upstream.url), **ONCE)


# connections that die


def test_a_connection_that_the_server_closed_while_idle_is_replaced(face, serve) -> None:
    def answers_once(visit) -> None:
        visit.request()
        visit.answer()
        visit.close()
        visit.note("closed")

    upstream = serve(answers_once, answers)
    client = face.client(upstream.url)
    face.chat(client, **ONCE)
    upstream.wait("closed")
    answer = face.chat(client, **ONCE)
    assert answer.text == "Hello"
    assert len(answer.receipt.attempts) == 1
    assert len(upstream.visits) == 2


def drops_the_second(visit) -> None:
    """Answer one request; read the next and close without a byte."""
    visit.request()
    visit.answer()
    visit.request()


def test_a_used_connection_that_ends_without_a_byte_is_replaced_unseen(face, serve) -> None:
    upstream = serve(drops_the_second, answers)
    client = face.client(upstream.url)
    face.chat(client, **ONCE)
    answer = face.chat(client, **ONCE)
    assert answer.text == "Hello"
    assert len(answer.receipt.attempts) == 1
    assert len(upstream.requests) == 3


def test_it_is_replaced_once_and_no_more(face, serve) -> None:
    upstream = serve(drops_the_second, lambda visit: visit.request())
    client = face.client(upstream.url)
    face.chat(client, **ONCE)
    with pytest.raises(APIConnectionError, match="closed the connection before it answered"):
        face.chat(client, **ONCE)
    assert len(upstream.visits) == 2


def test_it_is_not_replaced_once_a_byte_has_come(face, serve) -> None:
    upstream = serve(saying(whole(completion()), b"H"), answers)
    client = face.client(upstream.url)
    face.chat(client, **ONCE)
    with pytest.raises(APIConnectionError) as caught:
        face.chat(client)
    assert caught.value.received
    assert len(upstream.visits) == 1


def test_a_new_connection_that_ends_without_a_byte_is_an_attempt_that_failed(face, serve) -> None:
    upstream = serve(lambda visit: visit.request())
    with pytest.raises(APIConnectionError) as caught:
        face.chat(face.client(upstream.url), **ONCE)
    assert not caught.value.received
    assert len(upstream.visits) == 1


def test_a_reset_before_the_answer_is_told_as_one(face, serve) -> None:
    upstream = serve(then_resets())
    upstream.say("reset")
    with pytest.raises(APIConnectionError, match="broke the connection before answering"):
        face.chat(face.client(upstream.url), **ONCE)


@pytest.mark.parametrize(
    "script",
    [
        saying(whole(completion())[:-5]),
        saying(STREAM_HEAD.replace(b"text/event-stream", b"application/json") + chunk(b"{")),
    ],
    ids=["short of its length", "no last chunk"],
)
def test_an_answer_that_is_cut_is_an_error_and_not_asked_for_again(face, serve, script) -> None:
    upstream = serve(script)
    with pytest.raises(APIConnectionError, match="in the middle of its answer") as caught:
        face.chat(face.client(upstream.url))
    assert caught.value.received
    assert len(upstream.visits) == 1


def test_bytes_after_an_answer_cost_the_connection_and_not_the_next_answer(face, serve) -> None:
    def too_much(visit) -> None:
        visit.request()
        visit.answer()
        visit.hold("answered")
        visit.send(whole(completion("smuggled")))
        visit.note("smuggled")
        visit.until_gone()

    upstream = serve(too_much, answers)
    client = face.client(upstream.url)
    face.chat(client, **ONCE)
    upstream.say("answered")
    upstream.wait("smuggled")
    if face.name != "blocking":  # the loop sees the bytes before the next call
        import asyncio

        face.run(asyncio.to_thread(upstream.event("smuggled").wait))
    assert face.chat(client, **ONCE).text == "Hello"


def test_refused_connections_are_told_with_a_hint(face, serve) -> None:
    upstream = serve(answers)
    upstream.close()
    with pytest.raises(APIConnectionError, match="refused the connection") as caught:
        face.chat(face.client(upstream.url), **ONCE)
    assert "running" in caught.value.hint
    assert not caught.value.sent


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b"])
def test_a_name_that_does_not_resolve_is_told_as_one(face, host) -> None:
    with pytest.raises(APIConnectionError, match="could not be resolved"):
        face.chat(face.client(f"http://{host}/v1"), **ONCE)


# what is left behind


def test_nothing_is_left_open_by_calls_that_went_well_or_badly(face, serve) -> None:
    def fails(visit) -> None:
        visit.request()
        visit.send(STREAM_HEAD, chunk(event("Hel")))
        visit.reset()

    before = open_sockets()
    upstream = serve(answers, fails)
    client = face.client(upstream.url)
    face.chat(client, **ONCE)
    first = face.stream(client, **ONCE)  # takes the only connection
    second = face.stream(client, **ONCE)
    assert face.read(second)[1] is not None
    assert face.read(first)[1] is None
    face.run(client.close())
    face.close()
    upstream.close()
    assert sockets_settle(before)


def test_a_pool_keeps_no_more_idle_connections_than_it_may(serve) -> None:
    def together(visit) -> None:
        visit.request()
        visit.note(f"asked {visit.number}")
        visit.hold("go")
        visit.answer()
        visit.until_gone()
        with counting:
            left.append(visit)
            visit.note(f"gone {len(left)}")

    left, counting = [], threading.Lock()
    upstream = serve(together)
    face = Face()
    client = face.client(upstream.url, transport=BlockingTransport(max_idle=2))
    threads = [threading.Thread(target=face.chat, args=(client,)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for number in range(5):
        upstream.wait(f"asked {number}")
    upstream.say("go")
    for thread in threads:
        thread.join(10)
    upstream.wait("gone 3")
    assert sum(visit.gone.is_set() for visit in upstream.visits) == 3
    face.close()


def test_a_connection_that_has_idled_too_long_is_not_used(face, serve) -> None:
    upstream = serve(answers)
    client = face.client(upstream.url, transport=transport_for(face, idle_seconds=0.0))
    face.chat(client, **ONCE)
    face.chat(client, timeout=Timeouts(), **ONCE)
    assert len(upstream.visits) == 2
    assert upstream.visits[0].gone.wait(5)


def test_the_last_chunk_may_come_late_and_the_connection_is_still_kept(face, serve) -> None:
    def script(visit) -> None:
        visit.request()
        visit.send(STREAM_HEAD, chunk(event("Hi")), chunk(event(finish="stop")))
        visit.send(chunk(b"data: [DONE]\n\n"))
        visit.send(LAST)
        answers(visit)

    upstream = serve(script)
    client = face.client(upstream.url)
    assert face.collect(client, **ONCE).text == "Hi"
    assert face.chat(client, **ONCE).text == "Hello"
    assert len(upstream.visits) == 1
