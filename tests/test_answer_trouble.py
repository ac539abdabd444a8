"""Responses, messages and streamed texts when the wire is against them: cuts, odd bytes, refusals."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from faces import ONCE
from loopback import LAST, STREAM_HEAD, chunk, saying, stream, then_waits, whole
from test_answer_calls import APIS, ask, begun, every_api
from trunkline import (
    APIConnectionError,
    APIError,
    AuthenticationError,
    BadGatewayError,
    NotFoundError,
    PaymentRequiredError,
    PermissionDeniedError,
    RateLimitError,
    ServiceUnavailableError,
    StreamTruncated,
)
from trunkline.errors import DeadlineExceeded

HTML = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"

REFUSALS: dict[int, type[APIError]] = {
    401: AuthenticationError,
    402: PaymentRequiredError,
    403: PermissionDeniedError,
    404: NotFoundError,
    429: RateLimitError,
    503: ServiceUnavailableError,
}


TOLD = {"message": "No.", "type": "x"}
FORMS = {
    "openai": json.dumps({"error": {**TOLD, "code": None}}).encode(),
    "anthropic": json.dumps({"type": "error", "error": TOLD}).encode(),
    "text": b"No.",
    "router": json.dumps({"error": "No."}).encode(),
}
"""How servers write an error."""


@every_api
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("status", REFUSALS)
@pytest.mark.parametrize("form", FORMS)
def test_a_refusal_has_its_class_and_the_servers_words(
    face, serve, api, status, form, streamed
) -> None:
    upstream = serve(saying(whole(FORMS[form], status, x_request_id="req-7")))
    with pytest.raises(REFUSALS[status]) as caught:
        ask(face, face.client(upstream.url, **ONCE), api, stream=streamed)
    assert (caught.value.message, caught.value.status) == ("No.", status)
    assert caught.value.request_id == "req-7"
    assert caught.value.partial is None


@every_api
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_a_gateways_page_is_a_bad_gateway(face, serve, api, streamed) -> None:
    upstream = serve(saying(whole(HTML, 502, content_type="text/html")))
    with pytest.raises(BadGatewayError, match="502"):
        ask(face, face.client(upstream.url, **ONCE), api, stream=streamed)


@every_api
def test_a_page_under_a_good_status_is_no_answer(face, serve, api) -> None:
    page = whole(HTML, 200, content_type="text/html")
    for streamed in (False, True):
        upstream = serve(saying(page))
        with pytest.raises(APIError):
            ask(face, face.client(upstream.url, **ONCE), api, stream=streamed)


@every_api
def test_a_stream_cut_anywhere_ends_in_one_error_with_what_came(face, serve, api) -> None:
    sent = stream(*APIS[api][0])
    ends = [*range(0, len(sent), 23), len(sent)]
    upstream = serve(*[saying(sent[:end]) for end in ends])
    before, said = "", ""
    for _ in ends:
        events, error = [], None
        try:
            reading = ask(face, face.client(upstream.url, **ONCE), api, stream=True)
            events, error = face.read(reading)
            said = reading.whole.text
        except APIError as caught:
            assert isinstance(caught, (APIConnectionError, StreamTruncated))
            assert not before, "what had come was lost"
        if error is not None:
            assert isinstance(error, StreamTruncated)
            assert error.text == error.partial.text == said
        assert said.startswith(before)
        before = said
    assert (said, error) == ("Hello", None)
    assert events


def in_lines(ending: bytes) -> Any:
    return lambda body: body.replace(b"\n", ending)


ODD: dict[str, Any] = {
    "CRLF": in_lines(b"\r\n"),
    "CR": in_lines(b"\r"),
    "no space": lambda body: body.replace(b"data: ", b"data:"),
    "a mark in front": lambda body: b"\xef\xbb\xbf" + body,
    "comments": lambda body: b": hello\n\n" + body.replace(b"\n\n", b"\n\n: still there\n\n"),
    "names and ids": lambda body: body.replace(b"data: ", b"event: x\nid: 1\nretry: 9\ndata: "),
}


@every_api
@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_a_stream_may_be_written_in_every_way_that_is_allowed(face, serve, api, odd, size) -> None:
    body = ODD[odd](b"".join(APIS[api][0])).replace(b"Hel", "Ж€𝄞".encode())
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    upstream = serve(saying(stream(*pieces)))
    answer = face.run(ask(face, face.client(upstream.url), api, stream=True).collect())
    expected = "Hello" if api == "responses" else "Ж€𝄞lo"
    assert answer.text in (expected, "Ж€𝄞lo")


@every_api
def test_a_compressed_answer_is_read(face, serve, api) -> None:
    _, answer, _ = APIS[api]
    packed = whole(gzip.compress(json.dumps(answer).encode()), content_encoding="gzip")
    assert ask(face, face.client(serve(saying(packed)).url, **ONCE), api).text == "Hello"


@every_api
def test_a_compressed_stream_is_read(face, serve, api) -> None:
    head = STREAM_HEAD.replace(b"\r\n\r\n", b"\r\ncontent-encoding: gzip\r\n\r\n")
    packed = gzip.compress(b"".join(APIS[api][0]))
    pieces = [chunk(packed[at : at + 11]) for at in range(0, len(packed), 11)]
    upstream = serve(saying(b"".join([head, *pieces, LAST])))
    reading = ask(face, face.client(upstream.url, **ONCE), api, stream=True)
    assert face.run(reading.collect()).text == "Hello"


@every_api
def test_a_deadline_holds_for_tries_and_waits_together(face, serve, api) -> None:
    busy = whole(b"{}", 503, retry_after="3600")
    upstream = serve(saying(busy))
    client = face.client(upstream.url, max_retries=5, deadline=30)
    with pytest.raises(ServiceUnavailableError) as caught:
        ask(face, client, api)
    assert len(caught.value.attempts) == 1


@every_api
def test_a_deadline_ends_a_silent_stream_with_what_came(face, serve, api) -> None:
    upstream = serve(then_waits(STREAM_HEAD, *map(chunk, begun(api))))
    reading = ask(face, face.client(upstream.url, deadline=0.3), api, stream=True)
    _, error = face.read(reading)
    assert isinstance(error, StreamTruncated)
    assert isinstance(error.__cause__, DeadlineExceeded)
    assert error.partial.text == "Hel"
