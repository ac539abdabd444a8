"""Files that came back: the content says what they are, then the server does."""

from __future__ import annotations

import pytest
from media_samples import IMAGES, MP3_FRAME, ebml, mp4, recording

from trunkline.errors import InvalidResponseError
from trunkline.media import result_media


@pytest.mark.parametrize(
    ("content", "declared", "expected"),
    [
        (IMAGES["image/jpeg"], "image/png", "image/jpeg"),
        (IMAGES["image/png"], None, "image/png"),
        (IMAGES["image/png"], "application/octet-stream", "image/png"),
        (mp4(b"avif"), "image/png", "image/avif"),
        (b"<svg/>", "image/svg+xml; charset=utf-8", "image/svg+xml"),
        (recording(), "audio/x-wav", "audio/wav"),
        (mp4(b"isom"), "Audio/MP4", "audio/mp4"),
        (mp4(b"isom"), None, "video/mp4"),
        (ebml(b"webm"), "audio/webm;codecs=opus", "audio/webm"),
        (MP3_FRAME, "audio/wav", "audio/mpeg"),
        (MP3_FRAME, "audio/pcm;rate=24000", "audio/pcm"),
        (b"\x01\x02\x03", "audio/L16; rate=24000", "audio/l16"),
        (b"\x01\x02\x03", "application/octet-stream", None),
        (b"\x01\x02\x03", "not a type", None),
        (b"\x01\x02\x03", "", None),
        (b"glTF\x02\0", "model/gltf-binary", "model/gltf-binary"),
        (b"plain", "text/plain", "text/plain"),
    ],
)
def test_the_content_decides_and_the_server_is_asked_where_it_does_not_tell(
    content: bytes, declared: str | None, expected: str | None
) -> None:
    media = result_media(content, declared, "https://cdn.example.org/x.bin?signature=secret")
    assert media.media_type == expected
    assert media.content == content
    assert media.url == "https://cdn.example.org/x.bin?signature=secret"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"<!doctype html><p>expired", "a web page came"),
        (b'{"error": "expired"}', "JSON came"),
    ],
)
def test_what_is_no_file_is_refused(content: bytes, says: str) -> None:
    with pytest.raises(InvalidResponseError, match=says) as caught:
        result_media(content, "image/png", "https://cdn.example.org/x.png?signature=secret")
    assert "https://cdn.example.org/x.png" in caught.value.message
    assert "secret" not in str(caught.value)
    assert (caught.value.body or "") == content.decode()
