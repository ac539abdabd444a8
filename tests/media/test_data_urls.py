"""`data:` URLs both ways, and how they are refused."""

from __future__ import annotations

import base64
import contextlib
from urllib.parse import quote, quote_from_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.errors import InvalidInputError
from trunkline.media import decode_data_url
from trunkline.types.media import Blob

LIMIT = 100


@given(st.binary(min_size=1, max_size=LIMIT))
def test_what_a_blob_writes_is_read_back(content: bytes) -> None:
    url = Blob(content, "audio/wav").data_url
    assert decode_data_url(url, LIMIT) == (content, "audio/wav")
    head, _, payload = url.partition(",")
    assert decode_data_url(f"{head},{quote(payload)}", LIMIT) == (content, "audio/wav")


@given(st.binary(min_size=1, max_size=LIMIT))
def test_percent_encoded_content_is_read(content: bytes) -> None:
    url = f"data:image/svg+xml,{quote_from_bytes(content, safe='')}"
    assert decode_data_url(url, LIMIT) == (content, "image/svg+xml")


@pytest.mark.parametrize(
    ("url", "media_type"),
    [
        ("data:,hi", "text/plain"),
        ("DATA:Image/PNG;BASE64,aGk=", "image/png"),
        ("data:image/png;name=a.png;base64,aGk=", "image/png"),
        ("data:;charset=utf-8,hi", "text/plain"),
        ("data:audio/webm; codecs=opus; base64,aGk=", "audio/webm"),
    ],
)
def test_the_type_is_the_one_told(url: str, media_type: str) -> None:
    assert decode_data_url(url, LIMIT) == (b"hi", media_type)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "not written as"),
        ("data:", "not written as"),
        ("date:,x", "not written as"),
        ("data:image/png", "not written as"),
        ("data:nonsense,x", "no media type"),
        ("data:image/png\r\nx:y;base64,aGk=", "no media type"),
        ("data:image/png;base64,a", "malformed"),
        ("data:image/png;base64,aGk", "malformed"),
        ("data:image/png;base64,aG k=", "malformed"),
        ("data:image/png;base64,aGk=aGk=", "malformed"),
        ("data:image/png;base64,aG%6=", "percent-encoding"),
        ("data:,100%", "percent-encoding"),
        ("data:,two words", "percent-encoding"),
        ("data:,gr\u00fc\u00df", "percent-encoding"),
    ],
)
def test_a_malformed_url_is_refused(url: str, says: str) -> None:
    with pytest.raises(InvalidInputError, match=says) as caught:
        decode_data_url(url, LIMIT)
    assert caught.value.hint


@pytest.mark.parametrize(
    "write",
    [
        lambda content: f"data:image/png;base64,{base64.b64encode(content).decode()}",
        lambda content: f"data:image/png;base64,{quote(base64.b64encode(content).decode())}",
        lambda content: f"data:image/png,{quote_from_bytes(content)}",
    ],
)
@pytest.mark.parametrize("size", [1, 2, 3, 4, 99, 100, 1000])
def test_the_limit_is_the_last_size_that_passes(write, size: int) -> None:
    url = write(b"\xff" * size)
    assert decode_data_url(url, size)[0] == b"\xff" * size
    with pytest.raises(InvalidInputError, match=f"the limit is {size - 1}"):
        decode_data_url(url, size - 1)


@given(st.text(max_size=60) | st.text(max_size=40).map(lambda text: f"data:a/b;base64,{text}"))
def test_any_text_is_decoded_or_refused(text: str) -> None:
    with contextlib.suppress(InvalidInputError):
        content, media_type = decode_data_url(text, LIMIT)
        assert len(content) <= LIMIT
        assert "/" in media_type
