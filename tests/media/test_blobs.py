"""Files on their way in: every kind of source, and every kind of refusal."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from media_samples import CONTAINERS, IMAGES, MP3_FRAME, PDF, SOUNDS, VIDEOS, mp4, recording
from PIL import Image

from trunkline.errors import InvalidInputError
from trunkline.media import LIMITS, blob, check_fetched
from trunkline.types.media import Blob, Media

WAV = recording()
PNG = IMAGES["image/png"]


@pytest.mark.parametrize(("media_type", "content"), SOUNDS)
def test_sounds_are_taken(media_type: str, content: bytes) -> None:
    sent = blob(content, "audio")
    assert (sent.content, sent.media_type, sent.url) == (content, media_type, None)
    assert sent.file_name.startswith("audio.")
    assert not sent.file_name.endswith(".bin")


@pytest.mark.parametrize(("media_type", "content"), IMAGES.items())
def test_images_are_taken_as_images_and_as_documents(media_type: str, content: bytes) -> None:
    assert blob(content, "image").media_type == media_type
    assert blob(content, "document").media_type == media_type
    assert not blob(content, "image").file_name.endswith(".bin")


@pytest.mark.parametrize(("as_video", "as_audio", "content"), CONTAINERS)
def test_a_container_is_what_it_is_wanted_for(as_video: str, as_audio: str, content: bytes) -> None:
    assert blob(content, "video").media_type == as_video
    assert blob(content, "audio").media_type == as_audio


@pytest.mark.parametrize(("media_type", "content"), VIDEOS)
def test_videos_are_taken(media_type: str, content: bytes) -> None:
    assert blob(content, "video").media_type == media_type


def test_a_pdf_is_a_document() -> None:
    sent = blob(PDF, "document")
    assert (sent.media_type, sent.file_name) == ("application/pdf", "document.pdf")


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview, io.BytesIO, Blob, Media])
def test_content_in_memory_is_taken(wrap: Any) -> None:
    assert blob(wrap(WAV), "audio") == Blob(WAV, "audio/wav")


def test_a_path_is_read_as_text_as_path_and_as_file_url(tmp_path: Path) -> None:
    path = tmp_path / "what was said: 100%.mp3"  # the ending is wrong on purpose
    path.write_bytes(WAV)
    expected = Blob(WAV, "audio/wav", None, "what was said: 100%.wav")
    assert blob(str(path), "audio") == blob(path, "audio") == blob(path.as_uri(), "audio")
    assert blob(path, "audio") == expected


@pytest.mark.parametrize(
    "url", ["https://example.org/a.wav", "http://localhost:8000/x?y=1", "HTTPS://example.org/a"]
)
def test_a_url_stays_one(url: str) -> None:
    for source in (url, Media(url=url), Blob(url=url)):
        sent = blob(source, "audio")
        assert (sent.content, sent.url, sent.reference) == (b"", url, url)


def test_a_data_url_is_decoded_and_its_content_believed() -> None:
    url = Blob(WAV, "audio/mpeg").data_url
    assert blob(url, "audio", files=False) == Blob(WAV, "audio/wav")
    assert blob(Media(url=url), "audio") == Blob(WAV, "audio/wav")


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("ftp://example.org/a.wav", "not an http(s) URL"),
        ("https://", "names no host"),
        ("https://me:secret@example.org/a.wav", "user name"),
        ("file://server/share/a.wav", "another machine"),
        ("file://[broken", "another machine"),
        ("data:audio/wav;base64,a", "malformed"),
        ("data:audio/wav;base64,", "empty"),
        ("missing.wav", "no such file"),
        (".", "directory"),
        ("\0", "null"),
        ("a" * 5000, "too long"),
        (b"", "empty"),
        (Blob(), "empty"),
        (Media(), "empty"),
        (Blob(url="data:audio/wav;base64,aGk="), "cannot be used as a URL"),
    ],
)
def test_a_source_that_leads_nowhere_says_why(source: Any, says: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        blob(source, "audio")
    assert says in caught.value.message
    assert "secret" not in str(caught.value)
    assert len(str(caught.value)) < 500


NO_SOURCES = [None, 5, 1.5, ["x"], object(), {}, {"path": 5}, (), ("a.wav",), ("a.wav", "b.wav")]


@pytest.mark.parametrize("source", [*NO_SOURCES, (5, b"x"), ("a", b"x", None, {}, 5)])
def test_what_is_no_source_is_refused(source: Any) -> None:
    with pytest.raises(InvalidInputError, match="cannot be used as audio"):
        blob(source, "audio")


def test_a_file_tuple_is_taken_as_openai_takes_it(tmp_path: Path) -> None:
    path = tmp_path / "on-disk.wav"
    path.write_bytes(WAV)
    named = Blob(WAV, "audio/wav", None, "talk.wav")
    assert blob(("talk.mp3", WAV), "audio") == named
    assert blob(("../talk.wav", io.BytesIO(WAV), "audio/mpeg"), "audio") == named
    assert blob(("C:\\my\\talk.WAV", path, None, {}), "audio").name == "talk.WAV"
    assert blob((None, path), "audio").name == "on-disk.wav"


def test_a_row_of_a_dataset_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "row.png"
    path.write_bytes(PNG)
    assert blob({"bytes": PNG, "path": "x/row.png"}, "image") == blob(path, "image")
    assert blob({"bytes": None, "path": str(path)}, "image") == blob(path, "image")


def test_what_the_content_does_not_tell_may_be_told_by_the_caller() -> None:
    unheard_of = b"\x01\x02\x03\x04"
    for source in (("a.xyz", unheard_of, "audio/xyz"), Blob(unheard_of, "audio/xyz")):
        assert blob(source, "audio").media_type == "audio/xyz"
    for told in ("image/png", "application/octet-stream", "audio/x\r\ny: z", None):
        with pytest.raises(InvalidInputError, match="type is unknown"):
            blob(("a.xyz", unheard_of, told), "audio")
    with pytest.raises(InvalidInputError, match="is a PNG image"):
        blob(("a.wav", PNG, "audio/wav"), "audio")


def test_a_pil_image_is_encoded() -> None:
    sent = blob(Image.new("CMYK", (3, 2)), "image")
    assert sent.media_type == "image/png"
    with Image.open(io.BytesIO(sent.content)) as image:
        assert image.size == (3, 2)
    with pytest.raises(InvalidInputError, match="is a PNG image, and audio is expected"):
        blob(Image.new("RGB", (3, 2)), "audio")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cat.png", "cat.png"),
        ("cat.PNG", "cat.PNG"),
        ("cat", "cat.png"),
        ("cat.jpg", "cat.png"),
        ("v1.2 draft", "v1.2 draft.png"),
        ("a/b\\cat.png", "cat.png"),
        (".png", "png.png"),
        ("\u732b.png", "\u732b.png"),
        ("x" * 96 + ".png", "x" * 96 + ".png"),
        ("x" * 97 + ".png", None),
        ('a".png', None),
        ("a'.png", None),
        ("a\r\nb.png", None),
        ("a\u202egnp.exe", None),
        ("\udcff.png", None),
        ("a/", None),
        ("..", None),
        ("", None),
    ],
)
def test_a_name_is_harmless_and_ends_as_its_type_does(name: str, expected: str | None) -> None:
    assert blob((name, PNG), "image").name == expected
    file = io.BytesIO(PNG)
    file.name = name
    assert blob(file, "image").name == expected


WRONG = [
    (b"hello, world", "audio", "is text, and audio is expected", "base64"),
    (b"hello, world", "image", "is text, and an image is expected", "base64"),
    (b"<!doctype html><p>404", "audio", "is a web page", "a page about the file"),
    (b"<!doctype html><p>404", "image", "is a web page", "a page about the file"),
    (b'{"error": 1}', "image", "is JSON", "error message"),
    (b"version https://git-lfs.github.com/spec/v1\n", "video", "Git LFS", "git lfs pull"),
    (b"PK\x03\x04\x14\0", "document", "a ZIP archive", "Unpack"),
    (b"\x1f\x8b\x08\0", "audio", "a gzip archive", "Unpack"),
    (b"\x93NUMPY\x01\0", "audio", "numpy", "numpy.load"),
    (PNG, "audio", "is a PNG image, and audio is expected", "FLAC"),
    (PNG, "video", "is a PNG image, and a video is expected", "MP4"),
    (WAV, "image", "is a WAV recording, and an image is expected", "PNG"),
    (MP3_FRAME, "document", "is an MP3 recording", "PDF"),
    (WAV, "video", "is a WAV recording", "MP4"),
    (PDF, "image", "is a PDF document, and an image is expected", "Render"),
    (PDF, "audio", "is a PDF document, and audio is expected", "FLAC"),
    (mp4(b"isom"), "image", "is an MP4 video, and an image is expected", "frames"),
    (b"RIFF\x10\0\0\0AVI LIST", "audio", "is an AVI video", "ffmpeg"),
    (mp4(b"avif"), "image", "is an AVIF image, which models do not take", "Convert"),
    (mp4(b"heic"), "document", "is a HEIC image, which models do not take", "Convert"),
    (mp4(b"heic"), "audio", "is a HEIC image, and audio is expected", "FLAC"),
    (b"<svg/>", "image", "an SVG drawing", "Render"),
    (b"MThd\0\0\0\x06", "audio", "a MIDI file, which models do not take", "notes"),
    (b"\x01\x02\x03", "audio", "type is unknown; it begins with b'\\x01\\x02\\x03'", "FLAC"),
]


@pytest.mark.parametrize(("content", "wanted", "says", "hint"), WRONG)
def test_the_wrong_kind_is_refused_with_a_way_out(
    content: bytes, wanted: Any, says: str, hint: str, tmp_path: Path
) -> None:
    path = tmp_path / "right.wav"
    path.write_bytes(content)
    for source in (content, path, Blob(content, "audio/wav").data_url):
        with pytest.raises(InvalidInputError) as caught:
            blob(source, wanted)
        assert says in caught.value.message
        assert hint in (caught.value.hint or "")
    with pytest.raises(InvalidInputError, match=r"right\.wav"):
        blob(path, wanted)


class Untouchable(io.RawIOBase):
    """A file of two gigabytes that fails the test when it is read."""

    def __init__(self) -> None:
        self.place = 7

    def tell(self) -> int:
        return self.place

    def seek(self, offset: int, whence: int = 0) -> int:
        self.place = offset + (2**31 if whence == os.SEEK_END else 0)
        return self.place

    def read(self, size: int = -1) -> bytes:
        raise AssertionError(size)


def test_a_file_that_says_it_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "film.wav"
    with path.open("wb") as file:
        file.truncate(2**40)  # sparse: a terabyte that takes no room, and no memory if not read
    told = f"has {2**40:,} bytes; the limit is 536,870,912"
    with pytest.raises(InvalidInputError) as caught:
        blob(path, "audio")
    assert told in caught.value.message
    with path.open("rb") as file, pytest.raises(InvalidInputError) as caught:
        blob(file, "audio")
    assert told in caught.value.message
    with pytest.raises(InvalidInputError, match="2,147,483,641 bytes"):
        blob(Untouchable(), "audio")


class Stream:
    """A file of unknown size that never ends and brings little at a time."""

    def __init__(self, content: bytes = b"", step: int = 1000) -> None:
        self.content, self.step, self.taken = content, step, 0

    def read(self, size: int) -> bytes:
        end = self.taken + min(size, self.step)
        piece = self.content[self.taken : end] if self.content else b"\0" * min(size, self.step)
        self.taken += len(piece)
        return piece


def test_a_file_of_unknown_size_is_read_to_the_limit_and_one_byte_more() -> None:
    endless = Stream()
    with pytest.raises(InvalidInputError, match="more than 123,456 bytes; the limit is 123,456"):
        blob(endless, "audio", max_bytes=123_456)
    assert endless.taken == 123_457


def test_a_file_that_brings_little_at_a_time_is_read_whole() -> None:
    long = recording(b"\x01\x02" * 5000)
    assert blob(Stream(long, step=7), "audio").content == long


@pytest.mark.parametrize("make", [bytes, bytearray, memoryview, io.BytesIO, Blob, Stream])
def test_the_limit_is_the_last_size_that_passes(make: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(WAV)
    for source in (make(WAV), path, Blob(WAV).data_url):
        assert blob(source, "audio", max_bytes=len(WAV)).content == WAV
    for source in (make(WAV), path, Blob(WAV).data_url):
        with pytest.raises(InvalidInputError, match=f"the limit is {len(WAV) - 1}"):
            blob(source, "audio", max_bytes=len(WAV) - 1)


def test_each_kind_has_its_limit() -> None:
    mebi = 1024 * 1024
    assert {
        "image": 100 * mebi,
        "document": 100 * mebi,
        "audio": 512 * mebi,
        "video": 512 * mebi,
    } == LIMITS


def test_an_open_file_is_read_from_where_it_is(tmp_path: Path) -> None:
    path = tmp_path / "talk.wav"
    path.write_bytes(b"skip" + WAV)
    with path.open("rb") as file:
        file.seek(4)
        assert blob(file, "audio", max_bytes=len(WAV)) == Blob(WAV, "audio/wav", None, "talk.wav")
        with pytest.raises(InvalidInputError, match="nothing left to read"):
            blob(file, "audio")
    with pytest.raises(InvalidInputError, match="closed file"):
        blob(file, "audio")


def test_files_that_are_no_plain_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(gzip.compress(WAV))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.wav", WAV)
    with (
        gzip.open(tmp_path / "a.gz") as unpacked,
        zipfile.ZipFile(tmp_path / "a.zip") as archive,
        archive.open("a.wav") as member,
        tempfile.SpooledTemporaryFile() as spooled,
        tempfile.NamedTemporaryFile() as named,
    ):
        for file in (spooled, named):
            file.write(WAV)
            file.seek(0)
        for file in (unpacked, member, spooled, named):
            assert blob(file, "audio").content == WAV


def test_a_pipe_is_read_to_its_end() -> None:
    there, here = os.pipe()
    os.write(here, WAV)
    os.close(here)
    with os.fdopen(there, "rb") as file:
        assert blob(file, "audio") == Blob(WAV, "audio/wav")


class Coroutines:
    async def read(self, size: int = -1) -> bytes:
        return WAV


class Numbers:
    def read(self, size: int) -> Any:
        return None


@pytest.mark.parametrize(
    ("file", "says"),
    [
        (io.StringIO("x"), "open in text mode"),
        (io.TextIOWrapper(io.BytesIO(b"x")), "open in text mode"),
        (io.BytesIO(), "nothing left to read"),
        (Coroutines(), "has to be awaited"),
        (Numbers(), "reads as NoneType"),
    ],
)
def test_a_file_that_brings_no_bytes_is_refused(file: Any, says: str) -> None:
    with pytest.raises(InvalidInputError, match=says) as caught:
        blob(file, "audio")
    assert caught.value.hint


def test_text_that_names_a_file_is_refused_where_files_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(WAV)
    for source in (str(path), path.as_uri(), {"path": str(path)}, Media(url=str(path))):
        with pytest.raises(InvalidInputError, match="paths are not read here"):
            blob(source, "audio", files=False)
    with pytest.raises(InvalidInputError, match="paths are not read here"):
        blob(Media(url=str(path)), "audio")  # a server's words never name a file of ours
    assert blob(path, "audio", files=False).content == WAV


URL = "https://example.org/files/cat%20one.jpg?signature=secret"


def test_what_was_fetched_is_a_blob_with_its_url() -> None:
    sent = check_fetched(PNG, "image/jpeg", "image", URL, 1000)
    assert (sent.content, sent.media_type, sent.url) == (PNG, "image/png", URL)
    assert sent.file_name == "cat one.png"
    assert check_fetched(PNG, "", "image", "https://example.org", 1000).file_name == "image.png"


@pytest.mark.parametrize(
    ("content", "declared", "says"),
    [
        (b"<!doctype html>", "text/html; charset=utf-8", "The text/html at {} is a web page"),
        (b"<!doctype html>", "image/png", "The image/png at {} is a web page"),
        (b"", "", "The file at {} is empty"),
        (WAV, "", "The file at {} is a WAV recording"),
        (b"\x01\x02", "image/xyz", "The image/xyz at {}'s type is unknown"),
        (PNG + b"\0" * 1000, "image/png", "The image/png at {} has 1,0"),
    ],
)
def test_what_was_fetched_and_is_no_image_names_where_it_lay(
    content: bytes, declared: str, says: str
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        check_fetched(content, declared, "image", URL, 1000)
    assert says.format("https://example.org/files/cat%20one.jpg") in caught.value.message
    assert "secret" not in str(caught.value)


@given(st.binary(max_size=60), st.sampled_from(["image", "audio", "video", "document"]))
def test_any_bytes_are_a_blob_or_refused(content: bytes, wanted: Any) -> None:
    with contextlib.suppress(InvalidInputError):
        assert blob(content, wanted).content == content
        assert check_fetched(content, "", wanted, URL, 100).content == content


@given(st.text(max_size=60))
def test_any_text_is_a_url_or_refused(text: str) -> None:
    with contextlib.suppress(InvalidInputError):
        assert blob(text, "audio", files=False).url == text


@given(st.text(max_size=120))
def test_any_name_is_harmless_or_dropped(name: str) -> None:
    kept = blob((name, PNG), "image").file_name
    assert kept.isprintable()
    assert kept.lower().endswith(".png")
    assert not set(kept) & set("/\\\"'")
    assert len(kept) <= 100
