"""Who gets to see what: tokens, redirects, and bytes that would break out of a header."""

from __future__ import annotations

import pytest

from faces import ASKED, ONCE
from loopback import answers, saying, whole
from trunkline import APIError, AuthenticationError, InvalidInputError, InvalidResponseError
from trunkline.settings import read_settings

TOKEN = "hf_abcdefghij"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_error_and_the_token_stays_here(face, serve, status) -> None:
    elsewhere = serve(answers)
    location = f"{elsewhere.url}/chat/completions"
    upstream = serve(saying(whole(b"", status, location=location)))
    with pytest.raises(InvalidResponseError, match=f"redirects \\({status}\\)") as caught:
        face.chat(face.client(upstream.url, token=TOKEN))
    assert "api_base" in caught.value.hint
    assert len(upstream.requests) == 1
    assert elsewhere.visits == []


def test_a_stream_is_not_redirected_either(face, serve) -> None:
    elsewhere = serve(answers)
    upstream = serve(saying(whole(b"", 307, location=elsewhere.url)))
    with pytest.raises(InvalidResponseError):
        face.stream(face.client(upstream.url, token=TOKEN))
    assert elsewhere.visits == []


def test_a_server_of_ones_own_gets_the_token_that_is_given_with_it(face, serve) -> None:
    upstream = serve(answers)
    face.chat(face.client(upstream.url, token=TOKEN))
    face.chat(face.client(upstream.url), api_key="another-key")
    sent = [request.headers["authorization"] for request in upstream.requests]
    assert sent == [f"Bearer {TOKEN}", "Bearer another-key"]


def test_a_server_of_ones_own_never_gets_the_token_found_on_this_machine(
    face, serve, monkeypatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    upstream = serve(answers)
    settings = read_settings({"HF_BILL_TO": "my-org"})
    face.chat(face.client(upstream.url, settings=settings))
    face.collect(face.client(upstream.url, settings=settings))
    face.chat(face.client(settings=settings), api_base=upstream.url)
    for request in upstream.requests:
        assert TOKEN.encode() not in request.head + request.body
        assert "x-hf-bill-to" not in request.headers


def test_the_router_gets_the_token_found_on_this_machine(face, serve, monkeypatch) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    upstream = serve(answers)
    settings = read_settings({"TRUNKLINE_ROUTER": upstream.url, "HF_BILL_TO": "my-org"})
    face.run(face.client(settings=settings).chat("org/model:groq", ASKED))
    request = upstream.requests[0]
    assert request.json["model"] == "org/model:groq"
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert request.headers["x-hf-bill-to"] == "my-org"


@pytest.mark.parametrize(
    "parameters",
    [
        {"extra_headers": {"x-note": "a\r\nx-evil: 1"}},
        {"extra_headers": {"x-note\r\nx-evil": "1"}},
        {"extra_headers": {"x-note": "a\nb"}},
        {"extra_headers": {"host": "elsewhere"}},
        {"extra_headers": {"Content-Length": "0"}},
        {"extra_headers": {"transfer-encoding": "chunked"}},
        {"bill_to": "org\r\nx-evil: 1"},
        {"session_id": "s\r\nx-evil: 1"},
        {"token": "hf_a\r\nx-evil: 1"},
        {"api_key": "hf_\u00fc"},
        {"api_base": "http://127.0.0.1:1/a b"},
        {"api_base": "http://127.0.0.1:1/\r\nx-evil: 1"},
        {"api_base": "http://user:secret@127.0.0.1:1/v1"},
        {"api_base": "ftp://127.0.0.1/v1"},
        {"api_base": "127.0.0.1:8000"},
    ],
    ids=str,
)
def test_what_would_break_out_of_its_place_is_refused_before_a_byte_is_sent(
    face, serve, parameters
) -> None:
    upstream = serve(answers)
    with pytest.raises(APIError) as caught:
        face.chat(face.client(upstream.url), **parameters)
    wrong = AuthenticationError if {"token", "api_key"} & set(parameters) else InvalidInputError
    assert isinstance(caught.value, wrong)
    assert "hf_a" not in str(caught.value)
    assert "secret" not in str(caught.value)
    assert upstream.visits == []


def test_headers_that_a_server_sends_stay_values(face, serve) -> None:
    odd = "a\x80b; <script>"
    upstream = serve(saying(whole(b'{"error": "no"}', 400, x_request_id=odd)))
    with pytest.raises(APIError) as caught:
        face.chat(face.client(upstream.url), **ONCE)
    assert caught.value.status == 400
