"""Addresses: read into pieces, written back, and refused where they mislead."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trials import often
from trunkline.errors import InvalidInputError
from trunkline.wire.message import ResponseHead, Url, parse_url


@pytest.mark.parametrize(
    ("text", "url", "authority"),
    [
        ("https://h.example/v1?a=b", Url("https", "h.example", 443, "/v1?a=b"), "h.example"),
        ("http://h.example", Url("http", "h.example", 80, "/"), "h.example"),
        ("HTTP://H.Example:8080/V1", Url("http", "h.example", 8080, "/V1"), "h.example:8080"),
        ("https://h:443/", Url("https", "h", 443, "/"), "h"),
        ("http://h:443/", Url("http", "h", 443, "/"), "h:443"),
        ("http://[::1]:8000/v1", Url("http", "::1", 8000, "/v1"), "[::1]:8000"),
        ("http://127.0.0.1:1", Url("http", "127.0.0.1", 1, "/"), "127.0.0.1:1"),
        (
            "https://b\u00fccher.example/",
            Url("https", "xn--bcher-kva.example", 443, "/"),
            "xn--bcher-kva.example",
        ),
        ("https://h?x=1", Url("https", "h", 443, "/?x=1"), "h"),
    ],
)
def test_an_address_is_read_into_its_pieces(text: str, url: Url, authority: str) -> None:
    assert parse_url(text) == url
    assert url.authority == authority
    assert parse_url(str(url)) == url


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "does not begin with http"),
        ("localhost:8000/v1", "does not begin with http"),
        ("h.example/v1", "does not begin with http"),
        ("//h.example/v1", "does not begin with http"),
        ("ftp://h.example/", "does not begin with http"),
        ("file:///etc/passwd", "does not begin with http"),
        ("sandbox://sandbox/", "does not begin with http"),
        ("https://", "names no host"),
        ("https:///v1", "names no host"),
        ("http://:80/", "names no host"),
        ("https://h/v1#part", "has a fragment"),
        ("https://h/a b", "white space"),
        ("https://h/a\r\nx: y", "white space, control characters"),
        ("https://h\\@evil/", "backslashes"),
        ("https://h:port/", "cannot be used as a URL"),
        ("https://h:99999/", "cannot be used as a URL"),
        ("https://[::1/", "cannot be used as a URL"),
        ("https://h/caf\u00e9", "percent-encoding"),
        ("https://" + "\u00e4" * 70 + ".example/", "not a valid name"),
    ],
)
def test_what_is_no_address_is_refused(text: str, says: str) -> None:
    with pytest.raises(InvalidInputError, match=says) as caught:
        parse_url(text)
    assert "Give an absolute URL" in str(caught.value)


@pytest.mark.parametrize(
    "text", ["https://me:hunter2@h/", "https://hunter2@h/", "http://:hunter2@h"]
)
def test_credentials_in_an_address_are_refused_and_not_shown(text: str) -> None:
    with pytest.raises(InvalidInputError, match="user name") as caught:
        parse_url(text)
    assert "hunter2" not in str(caught.value)


@given(st.text(max_size=30) | st.text(max_size=20).map("https://{}".format))
@settings(max_examples=often(300), deadline=None)
def test_any_text_is_an_address_or_refused(text: str) -> None:
    try:
        url = parse_url(text)
    except InvalidInputError:
        return
    assert url.target.isascii()
    assert url.host.isascii()
    assert "\n" not in str(url)


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({"x-request-id": "a", "x-amzn-trace-id": "b"}, "a"),
        ({"x-amzn-trace-id": "b", "inference-id": "d"}, "b"),
        ({"x-amz-cf-id": "c"}, "c"),
        ({"inference-id": "d"}, "d"),
        ({}, None),
    ],
)
def test_a_request_id_is_found_in_whichever_header_carries_it(
    headers: dict[str, str], found: str | None
) -> None:
    assert ResponseHead(200, headers).request_id == found


def test_a_media_type_is_read_without_its_parameters() -> None:
    head = ResponseHead(200, {"content-type": "Text/Event-Stream; charset=utf-8"})
    assert head.content_type == "text/event-stream"
    assert ResponseHead(200).content_type == ""
