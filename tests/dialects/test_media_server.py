"""Pictures, sounds and orders in the server's role: fields in, requests out; answers back."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from openai.types import ImagesResponse
from openai.types.audio import TranscriptionVerbose

from trunkline.dialects.asked_fields import fields_of
from trunkline.dialects.multipart import Part
from trunkline.dialects.openai_audio_server import (
    HearingRequest,
    SpeechRequest,
    hearing_body,
    read_hearing,
    read_speech,
)
from trunkline.dialects.openai_images_server import (
    ImagesRequest,
    images_body,
    read_image_edit,
    read_images,
)
from trunkline.dialects.openai_rules import RequestError
from trunkline.dialects.rerank_server import RankRequest, read_rerank, rerank_body
from trunkline.errors import InvalidResponseError
from trunkline.sandbox import media_files
from trunkline.types.media import Media
from trunkline.types.results import (
    ImageResponse,
    RerankResponse,
    RerankResult,
    TranscriptChunk,
    Transcription,
)

PNG = media_files.png("ab" * 8, 8, 8)
WAV = media_files.wav("ab" * 8, 1.0)
DATA = "data:image/png;base64," + base64.b64encode(PNG).decode()
MOST = 1_000_000


def image(name: str = "image", filename: str = "a.png", content: bytes = PNG) -> Part:
    return Part(name, content, filename, "image/png")


def form(*parts: Part, **texts: str) -> dict[str, Any]:
    return fields_of([*(Part(name, value.encode()) for name, value in texts.items()), *parts])


def edit(*parts: Part, **texts: str) -> ImagesRequest:
    fields = form(*parts, **{"model": "m", "prompt": "p", **texts})
    return read_image_edit(fields, form=True, most=MOST)


def hearing(*parts: Part, translate: bool = False, **texts: str) -> HearingRequest:
    sound = parts or (Part("file", WAV, "a.wav", "audio/wav"),)
    fields = form(*sound, **{"model": "m", **texts})
    return read_hearing(fields, translate=translate, form=True, most=MOST)


def test_a_request_for_pictures_is_read() -> None:
    assert read_images({"model": "m", "prompt": "p"}) == ImagesRequest("m", "p")
    asked = {
        "model": "m",
        "prompt": "p",
        "size": "512x256",
        "response_format": "url",
        "quality": "hd",
        "n": 2,
        "seed": 5,
        "made_up": [1],
        "user": None,
    }
    assert read_images(asked) == ImagesRequest(
        "m",
        "p",
        (),
        None,
        "url",
        (512, 256),
        {"quality": "hd", "n": 2, "seed": 5},
        {"made_up": [1]},
    )


def test_what_is_done_anyway_need_not_be_said() -> None:
    asked = {"n": 1, "size": "auto", "quality": "auto", "background": "auto", "stream": False}
    assert read_images({"model": "m", "prompt": "p", **asked}) == ImagesRequest("m", "p")
    spoken = read_speech({"model": "m", "input": "i", "speed": 1.0, "stream_format": "audio"})
    assert spoken == SpeechRequest("m", "i")
    assert hearing(response_format="json", stream="false").parameters == {}


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"model": ""}, "model"),
        ({"prompt": 5}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"n": 0}, "n"),
        ({"n": 17}, "n"),
        ({"n": True}, "n"),
        ({"n": "2"}, "n"),
        ({"size": "large"}, "size"),
        ({"size": "0x5"}, "size"),
        ({"size": "5x5x5"}, "size"),
        ({"size": 512}, "size"),
        ({"response_format": "png"}, "response_format"),
        ({"stream": True}, "stream"),
        ({"partial_images": 2}, "stream"),
        ({"seed": 1.5}, "seed"),
        ({"quality": 5}, "quality"),
    ],
)
def test_a_wrong_request_for_pictures_is_refused_by_its_parameter(
    more: dict[str, Any], param: str
) -> None:
    with pytest.raises(RequestError) as caught:
        read_images({"model": "m", "prompt": "p", **more})
    assert caught.value.param == param


def test_pictures_to_be_changed_come_from_forms_urls_and_data() -> None:
    asked = edit(image(), image("mask"), n="2", size="64x64", guidance_scale="1.5")
    (picture,) = asked.images
    assert (picture.content, picture.media_type, picture.name) == (PNG, "image/png", "a.png")
    assert asked.mask is not None
    assert (asked.size, asked.parameters) == ((64, 64), {"n": 2, "guidance_scale": 1.5})
    assert len(edit(image("image[]"), image("image[]")).images) == 2
    (far,) = edit(image="https://example.org/a.png").images
    assert (far.url, far.content) == ("https://example.org/a.png", b"")
    for value in (DATA, [DATA], {"image_url": DATA}, [{"image_url": {"url": DATA}}]):
        for name in ("image", "images"):
            body = {"model": "m", "prompt": "p", name: value}
            assert read_image_edit(body, most=MOST).images[0].content == PNG


@pytest.mark.parametrize(
    ("parts", "texts", "param", "said"),
    [
        ((), {}, "image", "missing"),
        ((), {"image": "/etc/passwd"}, "image", "URL"),
        ((), {"image": "file:///etc/passwd"}, "image", "URL"),
        ((), {"image": "ftp://example.org/a.png"}, "image", "URL"),
        ((), {"image": "data:image/png;base64,??"}, "image", "data: URL"),
        ((), {"image[file_id]": "file-5"}, "image", "by its id"),
        ((image(content=b""),), {}, "image", "empty"),
        ((image(content=b"GIF"),), {}, "image", "is text"),
        ((Part("image", b"\x01\x02\x03\x04" * 9, "a.png"),), {}, "image", "unknown"),
        ((image(content=WAV),), {}, "image", "WAV"),
        ((image(content=b"<html><body>x</body></html>"),), {}, "image", "expected"),
        ((image(), image()), {}, "image", "twice"),
        ((image(), Part("prompt", b"\xff")), {}, "prompt", "UTF-8"),
        ((image(), image("what")), {}, "what", "is a file"),
        ((image(), image("prompt[]")), {}, "prompt", "two ways"),
        ((image(),), {"n": "two"}, "n", "whole number"),
        ((image(),), {"n": "1e3"}, "n", "whole number"),
        ((image(),), {"_charset_": "latin-1"}, "_charset_", "UTF-8"),
        ((image("image[]"),) * 17, {}, "image", "more than 16"),
    ],
)
def test_a_wrong_form_is_refused_by_its_field(
    parts: tuple[Part, ...], texts: dict[str, str], param: str, said: str
) -> None:
    with pytest.raises(RequestError, match=said) as caught:
        edit(*parts, **texts)
    assert (caught.value.param, caught.value.status) == (param, 400)


@pytest.mark.parametrize(
    ("filename", "name"),
    [
        ("../../etc/passwd", "passwd.png"),
        ("C:\\windows\\a.png", "a.png"),
        (".htaccess", "htaccess.png"),
        ('a"b.png', None),
        ("", None),
        ("a" * 300 + ".png", None),
    ],
)
def test_a_files_name_is_made_harmless(filename: str, name: str | None) -> None:
    assert edit(image(filename=filename)).images[0].name == name


def test_pictures_are_written_as_the_client_wants_them() -> None:
    b64 = base64.b64encode(PNG).decode()
    kept, far = Media(PNG, "image/png"), Media(None, None, "https://example.org/a.png")
    both = Media(PNG, "image/png", "https://example.org/a.png", "a red cat")

    def rows(form: Any, *pictures: Media) -> Any:
        told = json.loads(images_body(ImageResponse(list(pictures)), form, 7))
        ImagesResponse.model_validate(told)
        assert told["created"] == 7
        return told["data"]

    assert rows("b64_json", kept, both) == [
        {"b64_json": b64},
        {"b64_json": b64, "revised_prompt": "a red cat"},
    ]
    assert rows("url", far, kept) == [{"url": far.url}, {"url": DATA}]
    assert rows(None, both, kept)[0]["url"] == both.url
    assert rows(None, kept) == [{"b64_json": b64}]


@pytest.mark.parametrize("url", ["javascript:alert(1)", "file:///etc/passwd", "//example.org/a"])
def test_nobody_is_sent_to_what_is_no_web_address(url: str) -> None:
    with pytest.raises(InvalidResponseError):
        images_body(ImageResponse([Media(None, None, url)]), "url", 7)


def test_what_a_provider_tells_beside_pictures_goes_on() -> None:
    result = ImageResponse([Media(PNG)], created=5, extra={"usage": {"input_tokens": 3}})
    told = json.loads(images_body(result, None, 7))
    assert (told["created"], told["usage"]) == (5, {"input_tokens": 3})


def test_a_recording_is_read() -> None:
    asked = hearing(language="de", temperature="0.5", hotwords="Trunkline")
    assert (asked.sound.content, asked.sound.media_type) == (WAV, "audio/wav")
    assert asked.parameters == {"language": "de", "temperature": 0.5}
    assert asked.extra == {"hotwords": "Trunkline"}
    assert (asked.form, asked.timed, asked.translate) == ("json", False, False)
    assert hearing(translate=True).translate


@pytest.mark.parametrize(
    ("texts", "parameters"),
    [
        ({"response_format": "text"}, {}),
        ({"response_format": "srt"}, {"return_timestamps": True}),
        ({"response_format": "vtt"}, {"return_timestamps": True}),
        ({"response_format": "verbose_json"}, {"return_timestamps": True}),
        (
            {"response_format": "verbose_json", "timestamp_granularities[]": "segment"},
            {"return_timestamps": True},
        ),
        (
            {"response_format": "verbose_json", "timestamp_granularities[]": "word"},
            {"return_timestamps": True, "timestamp_granularities": ["word"]},
        ),
        ({"response_format": "diarized_json"}, {"response_format": "diarized_json"}),
    ],
)
def test_a_form_of_the_text_becomes_what_a_provider_is_asked(
    texts: dict[str, str], parameters: dict[str, Any]
) -> None:
    assert hearing(**texts).parameters == parameters


@pytest.mark.parametrize(
    ("parts", "texts", "param"),
    [
        ((Part("file", PNG, "a.wav"),), {}, "file"),
        ((Part("other", WAV, "a.wav"),), {}, "file"),
        ((), {"stream": "true"}, "stream"),
        ((), {"temperature": "hot"}, "temperature"),
        ((), {"temperature": "2"}, "temperature"),
        ((), {"timestamp_granularities[]": "word"}, "timestamp_granularities"),
    ],
)
def test_a_wrong_recording_is_refused(
    parts: tuple[Part, ...], texts: dict[str, str], param: str
) -> None:
    with pytest.raises(RequestError) as caught:
        hearing(*parts, **texts)
    assert caught.value.param == param


SAID = Transcription(
    "Hello there. Good bye.",
    [TranscriptChunk(" Hello\nthere.", 0.0, 1.25), TranscriptChunk("Good bye.", 3661.5)],
    language="en",
    duration=3663.0,
    extra={"words": [{"word": "Hello"}], "usage": {"type": "duration", "seconds": 3663}},
)


def test_a_transcription_is_written_in_every_form() -> None:
    assert hearing_body(SAID, "text") == (
        b"Hello there. Good bye.\n",
        "text/plain; charset=utf-8",
    )
    plain = json.loads(hearing_body(SAID, "json")[0])
    assert plain == {"text": SAID.text, "usage": SAID.extra["usage"]}
    told = json.loads(hearing_body(SAID, "verbose_json")[0])
    TranscriptionVerbose.model_construct(**told)
    assert told["segments"] == [
        {"id": 0, "start": 0.0, "end": 1.25, "text": " Hello\nthere."},
        {"id": 1, "start": 3661.5, "text": "Good bye."},
    ]
    assert (told["language"], told["duration"], told["words"]) == (
        "en",
        3663.0,
        [{"word": "Hello"}],
    )
    assert hearing_body(SAID, "srt")[0].decode() == (
        "1\n00:00:00,000 --> 00:00:01,250\nHello there.\n\n"
        "2\n01:01:01,500 --> 01:01:03,000\nGood bye.\n\n"
    )
    assert hearing_body(SAID, "vtt")[0].decode() == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.250\nHello there.\n\n"
        "01:01:01.500 --> 01:01:03.000\nGood bye.\n\n"
    )


@pytest.mark.parametrize(
    "chunks",
    [
        None,
        [],
        [TranscriptChunk("a")],
        [TranscriptChunk("a", 0.0)],
        [TranscriptChunk("a", None, 1.0)],
    ],
)
@pytest.mark.parametrize("form", ["srt", "vtt"])
def test_subtitles_without_times_are_none(form: str, chunks: Any) -> None:
    with pytest.raises(InvalidResponseError):
        hearing_body(Transcription("a", chunks), form)
    assert "segments" not in json.loads(hearing_body(Transcription("a"), "verbose_json")[0])


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"input": ""}, "input"),
        ({"input": ["a"]}, "input"),
        ({"speed": 5}, "speed"),
        ({"speed": "1"}, "speed"),
        ({"voice": 5}, "voice"),
        ({"voice": {"id": "voice_1"}}, "voice"),
        ({"stream_format": "sse"}, "stream_format"),
        ({"stream": True}, "stream_format"),
    ],
)
def test_a_wrong_request_for_speech_is_refused(more: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestError) as caught:
        read_speech({"model": "m", "input": "i", **more})
    assert caught.value.param == param


def test_a_request_for_speech_is_read() -> None:
    asked = {"model": "m", "input": "i", "voice": "v", "response_format": "wav", "lang": "de"}
    assert read_speech(asked) == SpeechRequest(
        "m", "i", {"voice": "v", "response_format": "wav"}, {"lang": "de"}
    )


def test_an_order_is_read_and_written() -> None:
    asked = read_rerank(
        {
            "model": "m",
            "query": "q",
            "documents": ["a", {"text": "b"}],
            "top_n": 1,
            "return_documents": True,
            "rank_fields": ["x"],
        }
    )
    assert asked == RankRequest("m", "q", ("a", "b"), 1, True, {"rank_fields": ["x"]})
    result = RerankResponse([RerankResult(1, 0.5)], None, "theirs", {"tokens": {"input_tokens": 3}})
    assert json.loads(rerank_body(result, asked, "req_1")) == {
        "id": "req_1",
        "model": "m",
        "results": [{"index": 1, "relevance_score": 0.5, "document": {"text": "b"}}],
        "meta": {"tokens": {"input_tokens": 3}},
    }


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"query": ""}, "query"),
        ({"documents": []}, "documents"),
        ({"documents": "a"}, "documents"),
        ({"documents": ["a"] * 10_001}, "documents"),
        ({"documents": ["a", 5]}, "documents[1]"),
        ({"documents": [{"text": "a", "id": 5}]}, "documents[0]"),
        ({"top_n": 0}, "top_n"),
        ({"return_documents": "yes"}, "return_documents"),
    ],
)
def test_a_wrong_order_is_refused(more: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestError) as caught:
        read_rerank({"model": "m", "query": "q", "documents": ["a"], **more})
    assert caught.value.param == param
