"""Images on their way in: every kind of source, and every kind of refusal."""

from __future__ import annotations

import base64
import contextlib
import io
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from trunkline.errors import InvalidInputError
from trunkline.media import image_part, image_url, media_type


def encoded(kind: str, mode: str = "RGB") -> bytes:
    """Return a small image in one of PIL's formats."""
    buffer = io.BytesIO()
    Image.new(mode, (3, 2)).save(buffer, kind)
    return buffer.getvalue()


PNG = encoded("PNG")
SAMPLES = {
    "image/png": PNG,
    "image/jpeg": encoded("JPEG"),
    "image/gif": encoded("GIF"),
    "image/webp": encoded("WEBP"),
    "image/bmp": encoded("BMP"),
    "image/tiff": encoded("TIFF"),
}


def data_url(content: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def content_of(url: str) -> bytes:
    return base64.b64decode(url.partition(",")[2])


@pytest.mark.parametrize(("kind", "content"), SAMPLES.items())
def test_the_type_comes_from_the_content(kind: str, content: bytes) -> None:
    assert media_type(content) == kind
    assert image_url(content) == data_url(content, kind)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/cat.png",
        "http://example.org:8080/a/b?size=large&x=%20",
        "HTTPS://example.org/cat",
    ],
)
def test_an_http_url_is_passed_on_as_it_is(url: str) -> None:
    assert image_url(url) == url


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("ftp://example.org/cat.png", "not an http(s) URL"),
        ("s3://bucket/cat.png", "not an http(s) URL"),
        ("gopher://x/cat.png", "not an http(s) URL"),
        ("https://", "names no host"),
        ("https://example.org/a cat.png", "white space"),
        ("https://me:secret@example.org/cat.png", "user name"),
        ("file://server/share/cat.png", "another machine"),
    ],
)
def test_other_urls_are_refused(url: str, says: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        image_url(url)
    assert says in caught.value.message
    assert caught.value.hint
    assert "secret" not in str(caught.value)


def test_a_path_is_read_as_text_as_path_and_as_file_url(tmp_path: Path) -> None:
    path = tmp_path / "a cat: 100%.jpg"  # the name is wrong on purpose
    path.write_bytes(PNG)
    assert image_url(str(path)) == image_url(path) == image_url(path.as_uri()) == data_url(PNG)


def test_a_relative_path_is_read(tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(PNG)
    with contextlib.chdir(tmp_path):
        assert image_url("cat.png") == data_url(PNG)


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview, io.BytesIO])
def test_content_in_memory_is_taken(wrap: Any) -> None:
    assert image_url(wrap(PNG)) == data_url(PNG)


def test_an_open_file_is_read_from_where_it_is(tmp_path: Path) -> None:
    path = tmp_path / "cat.png"
    path.write_bytes(b"skip" + PNG)
    with path.open("rb") as file:
        file.seek(4)
        assert image_url(file) == data_url(PNG)
        with pytest.raises(InvalidInputError, match="nothing left to read"):
            image_url(file)


def test_a_file_in_text_mode_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="text mode"):
        image_url(io.StringIO("x"))  # type: ignore[arg-type]  # what the test is about


@pytest.mark.parametrize(
    "mode",
    ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "F", "HSV", "La", "PA", "RGBa", "I", "I;16"],
)
def test_a_pil_image_of_any_mode_becomes_a_png(mode: str) -> None:
    content = content_of(image_url(Image.new(mode, (3, 2))))
    assert media_type(content) == "image/png"
    with Image.open(io.BytesIO(content)) as image:
        assert image.size == (3, 2)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_a_pil_image_that_came_from_a_jpeg_stays_one(mode: str) -> None:
    with Image.open(io.BytesIO(encoded("JPEG", mode))) as image:
        assert media_type(content_of(image_url(image))) == "image/jpeg"


def test_a_pil_image_keeps_which_way_is_up() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    Image.new("RGB", (3, 2)).save(buffer, "JPEG", exif=exif)
    with Image.open(buffer) as image:
        sent = content_of(image_url(image))
    with Image.open(io.BytesIO(sent)) as image:
        assert image.getexif()[0x0112] == 6


def test_a_pil_image_that_cannot_be_encoded_is_refused() -> None:
    buffer = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(buffer, "PNG")
    half = io.BytesIO(buffer.getvalue()[:2000])
    with Image.open(half) as cut, pytest.raises(InvalidInputError, match="encoded"):
        image_url(cut)
    with pytest.raises(InvalidInputError, match="0 x 5 pixels"):
        image_url(Image.new("RGB", (0, 5)))


REFUSED = [
    (b"", "empty", "made"),
    (b"hello, world", "unknown", "PNG"),
    (b"BM is how this text begins", "unknown", "PNG"),
    (b"\x00\x00\x00\x1cftypavif\x00\x00", "AVIF", "Convert"),
    (b"\x00\x00\x00\x1cftypheic\x00\x00", "HEIC", "Convert"),
    (b"\x00\x00\x00\x1cftypisom\x00\x00", "video", "frames"),
    (b"\xff\x0a\x00", "JPEG XL", "Convert"),
    (b"\x00\x00\x01\x00\x01\x00", "icon", "Convert"),
    (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG", "Render"),
    (b'\xef\xbb\xbf<?xml version="1.0"?>\n<svg/>', "SVG", "Render"),
    (b"%PDF-1.7\n", "PDF", "Render"),
    (b"<!DOCTYPE html><html><body>404", "web page", "page"),
    (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS", "git lfs pull"),
]


@pytest.mark.parametrize(("content", "says", "hint"), REFUSED, ids=[row[1] for row in REFUSED])
def test_what_models_do_not_take_is_refused_with_a_way_out(
    content: bytes, says: str, hint: str, tmp_path: Path
) -> None:
    path = tmp_path / "cat.png"
    path.write_bytes(content)
    for source in (content, path):
        with pytest.raises(InvalidInputError) as caught:
            image_url(source)
        assert says in caught.value.message
        assert hint in (caught.value.hint or "") or not content


@pytest.mark.parametrize(
    ("path", "says"),
    [("missing.png", "no such file"), (".", "directory"), ("a" * 5000, "too long"), ("\0", "null")],
)
def test_a_path_that_cannot_be_read_says_why(path: str, says: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        image_url(path)
    assert says in caught.value.message
    assert len(str(caught.value)) < 400


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_path_without_permission_says_so(tmp_path: Path) -> None:
    path = tmp_path / "cat.png"
    path.write_bytes(PNG)
    path.chmod(0)
    with pytest.raises(InvalidInputError, match="permission is denied"):
        image_url(path)


def test_text_that_names_a_file_is_refused_where_files_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "cat.png"
    path.write_bytes(PNG)
    for source in (str(path), path.as_uri()):
        with pytest.raises(InvalidInputError, match="paths are not read"):
            image_url(source, files=False)
    assert image_url(data_url(PNG), files=False) == data_url(PNG)
    assert image_url(path, files=False) == data_url(PNG)  # a Path is nothing that JSON could hold


@pytest.mark.parametrize(
    "kind", ["image/png", "IMAGE/PNG", "image/x-png", "image/png;name=cat.png"]
)
def test_a_data_url_is_passed_on_as_it_is(kind: str) -> None:
    assert image_url(data_url(PNG, kind)) == data_url(PNG, kind)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("data:", "not written as"),
        ("data:image/png,abc", "not written as"),
        ("data:text/plain;base64,aGk=", "not an image"),
        ("data:;base64,aGk=", "not an image"),
        ("data:image/png;base64,", "empty"),
        ("data:image/png;base64,a", "malformed"),
        ("data:image/png;base64,iVBOR w0K", "malformed"),
        ("data:image/png;base64,iVBORw0KGg-_", "malformed"),
        (data_url(SAMPLES["image/jpeg"]), "its content is image/jpeg"),
        (data_url(b"<svg/>", "image/svg+xml"), "SVG"),
        (data_url(b"hello, world"), "unknown"),
    ],
)
def test_a_data_url_is_looked_into(url: str, says: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        image_url(url)
    assert says in caught.value.message


@pytest.mark.parametrize("make", [bytes, io.BytesIO, data_url])
def test_the_limit_is_the_last_size_that_passes(make: Any, tmp_path: Path) -> None:
    path = tmp_path / "cat.png"
    path.write_bytes(PNG)
    for source in (make(PNG), path):
        assert image_url(source, max_bytes=len(PNG))
    for source in (make(PNG), path):
        with pytest.raises(InvalidInputError, match=f"the limit is {len(PNG) - 1}"):
            image_url(source, max_bytes=len(PNG) - 1)


@pytest.mark.parametrize("source", [None, 5, 1.5, {"url": "x"}, ["x"], object()])
def test_what_is_no_source_is_refused(source: Any) -> None:
    with pytest.raises(InvalidInputError, match="cannot be used as an image"):
        image_url(source)


def test_a_part_is_what_messages_carry() -> None:
    url = "https://example.org/cat.png"
    assert image_part(url) == {"type": "image_url", "image_url": {"url": url}}
    assert image_part(PNG, detail="low")["image_url"] == {"url": data_url(PNG), "detail": "low"}
    with pytest.raises(InvalidInputError, match="not a detail"):
        image_part(url, detail="huge")  # type: ignore[arg-type]  # what the test is about


@given(st.text(max_size=60))
def test_any_text_is_a_url_or_refused(text: str) -> None:
    with contextlib.suppress(InvalidInputError):
        assert image_url(text, files=False) == text


@given(st.binary(max_size=60))
def test_any_bytes_are_an_image_or_refused(content: bytes) -> None:
    with contextlib.suppress(InvalidInputError):
        assert content_of(image_url(content)) == content
