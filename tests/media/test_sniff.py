"""What files are, told by their content: a sample of each kind, and no bytes that break it."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from media_samples import AAC_FRAME, CONTAINERS, IMAGES, MP3_FRAME, PDF, SOUNDS, VIDEOS, mp4

from trunkline.media.sniff import sniff, sniff_text

KNOWN = [
    *IMAGES.items(),
    *SOUNDS,
    *((kind, content) for kind, _, content in CONTAINERS),
    *VIDEOS,
    ("application/pdf", PDF),
    ("image/avif", mp4(b"avif")),
    ("image/heic", mp4(b"heic")),
    ("image/jxl", b"\xff\x0a\0"),
    ("image/x-icon", b"\0\0\x01\0\x01\0"),
    ("image/svg+xml", b'<svg xmlns="http://www.w3.org/2000/svg"/>'),
    ("image/svg+xml", b'<?xml version="1.0"?>\n<!-- x --><svg/>'),
    ("audio/midi", b"MThd\0\0\0\x06"),
    ("text/html", b"<!DOCTYPE html><title>404</title>"),
    ("text/html", b"\n <html><body><svg></svg></body></html>"),
    ("text/html", b"<!-- x --><HEAD></HEAD>"),
    ("text/x-git-lfs-pointer", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"),
    ("application/zip", b"PK\x03\x04\x14\0"),
    ("application/gzip", b"\x1f\x8b\x08\0"),
    ("application/x-compressed", b"BZh91AY&SY"),
    ("application/x-npy", b"\x93NUMPY\x01\0"),
]


@pytest.mark.parametrize(("media_type", "content"), KNOWN)
def test_each_kind_is_told_by_its_first_bytes(media_type: str, content: bytes) -> None:
    kind = sniff(content)
    assert kind is not None
    assert kind.media_type == media_type


NOT_WHAT_THEY_SEEM = [
    b"",
    b"\xff",
    b"\xff\xfb",
    b"\xff\xfb\xf0\0",  # an MP3 frame has no bitrate 15
    b"\xff\xeb\x90\0",  # nor does MPEG have a version 1
    b"\xff\xfeh\0i\0",  # UTF-16
    b"ID3 is a tag of MP3 files",
    b"BM is how this text begins",
    b"RIFFxxxxMORE",
    b"OggSomething",
    b"BZh is German for a district",
    b"some moov text",
]


@pytest.mark.parametrize("content", NOT_WHAT_THEY_SEEM)
def test_a_likeness_is_not_enough(content: bytes) -> None:
    assert sniff(content) is None


@pytest.mark.parametrize(
    ("media_type", "content"),
    [
        ("text/plain", b"hello, world"),
        ("text/plain", "\ufeffgr\u00fc\u00df dich".encode()),
        ("text/plain", "hello".encode("utf-16")),
        ("text/plain", "\u20ac".encode() * 1000),  # the part looked at ends within a character
        ("application/json", b' {"error": "gone"}'),
        ("application/json", b"[1]"),
        ("application/xml", b'<?xml version="1.0"?><Error/>'),
    ],
)
def test_text_is_told_from_other_bytes(media_type: str, content: bytes) -> None:
    kind = sniff_text(content)
    assert kind is not None
    assert kind.media_type == media_type


@pytest.mark.parametrize("content", [b"\0\x01\x02", b"caf\xe9", b"cut \xe2\x82", b"bell \x07"])
def test_other_bytes_are_no_text(content: bytes) -> None:
    assert sniff_text(content) is None


BEGINNINGS = st.sampled_from([content[:20] for _, content in KNOWN])


@given(st.binary(max_size=64) | st.builds(bytes.__add__, BEGINNINGS, st.binary(max_size=40)))
@example(b"ID3\x04\0\0\x7f\x7f\x7f\x7f")
@example(b"ID3\x04")
def test_any_bytes_are_known_or_not(content: bytes) -> None:
    for kind in (sniff(content), sniff_text(content)):
        assert kind is None or kind.media_type.count("/") == 1


@given(st.sampled_from([MP3_FRAME, AAC_FRAME]), st.binary(min_size=1, max_size=64))
def test_what_follows_a_first_frame_does_not_matter(frame: bytes, more: bytes) -> None:
    assert sniff(frame + more) == sniff(frame)
