"""Pictures: what each kind of server is asked, and what is made of its answer."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from trunkline.dialects.multipart import read_form
from trunkline.dialects.ocr import LAYOUT_PARSING
from trunkline.dialects.openai_images import (
    IMAGE_EDIT,
    IMAGE_EDIT_TOGETHER,
    IMAGES,
    IMAGES_HYPERBOLIC,
    IMAGES_IN_BYTES,
    IMAGES_NEBIUS,
    IMAGES_TOGETHER,
)
from trunkline.dialects.shape import Fetch, Reading, Shape, Wish
from trunkline.errors import InvalidInputError, InvalidResponseError
from trunkline.types.media import Blob, Media
from trunkline.types.results import ImageResponse, TextOutput

PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 8
JPEG = b"\xff\xd8\xff\xe0" + b"\x00" * 8
PICTURE = Blob(PNG, "image/png")
SIDES = {"width": 512, "height": 256}


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def write(shape: Shape, *, model: str = "m", download: bool = True, **asked: Any) -> dict[str, Any]:
    wish = Wish("text-to-image", model, "a cat", asked, {"x": 1}, download=download)
    body: dict[str, Any] = json.loads(shape.write(wish).data)
    assert body.pop("x") == 1
    assert body.pop("prompt") == "a cat"
    return body


def read(answer: Any, shape: Shape = IMAGES) -> Any:
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    return shape.read(Reading(body, "application/json"), Wish("text-to-image", "m", "a cat"))


@pytest.mark.parametrize(
    ("shape", "body"),
    [
        (IMAGES, {"model": "m", "size": "512x256", "response_format": "b64_json"}),
        (IMAGES_TOGETHER, {"model": "m", **SIDES, "response_format": "base64"}),
        (IMAGES_IN_BYTES, {"model": "m", "size": "512x256", "response_format": "b64_json"}),
        (IMAGES_NEBIUS, {"model": "m", **SIDES, "response_format": "b64_json"}),
        (IMAGES_HYPERBOLIC, {"model_name": "m", **SIDES}),
    ],
)
def test_each_server_is_asked_in_its_words(shape: Shape, body: dict[str, Any]) -> None:
    assert write(shape, **SIDES) == body
    assert write(shape, size="512x256") == body
    assert write(shape, target_size=SIDES) == body


@pytest.mark.parametrize(
    ("shape", "word"),
    [
        (IMAGES, "url"),
        (IMAGES_TOGETHER, "url"),
        (IMAGES_NEBIUS, "url"),
        (IMAGES_IN_BYTES, "b64_json"),
        (IMAGES_HYPERBOLIC, None),
    ],
)
def test_urls_are_asked_for_where_they_are_wanted_and_exist(shape: Shape, word: Any) -> None:
    assert write(shape, response_format="url").get("response_format") == word
    assert write(shape, download=False).get("response_format") == word
    if word == "url":
        assert write(shape, download=False, response_format="b64_json")["response_format"] != word


@pytest.mark.parametrize("model", ["gpt-image-1", "openai/gpt-image-2", "chatgpt-image-latest"])
def test_models_that_refuse_response_format_are_not_sent_it(model: str) -> None:
    assert write(IMAGES, model=model, response_format="b64_json", quality="low") == {
        "model": model,
        "quality": "low",
    }


def test_the_model_comes_first_in_the_body() -> None:
    for shape in (IMAGES, IMAGES_TOGETHER, IMAGES_HYPERBOLIC):
        body = json.loads(shape.write(Wish("text-to-image", "m", "p", {"seed": 1})).data)
        assert next(iter(body)).startswith("model")


def test_hyperbolic_is_told_a_size_always() -> None:
    assert write(IMAGES_HYPERBOLIC, width=640) == {"model_name": "m", "width": 640, "height": 512}


@pytest.mark.parametrize("size", ["1024", "1024x", "axb", "1x2x3", "-1x2", 7])
def test_a_size_that_is_none_is_refused_before_it_is_sent(size: Any) -> None:
    with pytest.raises(InvalidInputError, match="is no size"):
        write(IMAGES_TOGETHER, size=size)


@pytest.mark.parametrize("side", ["width", "height"])
def test_half_a_size_is_refused_where_it_cannot_be_said(side: str) -> None:
    with pytest.raises(InvalidInputError, match="go together"):
        write(IMAGES, **{side: 512})
    assert write(IMAGES_TOGETHER, **{side: 512})[side] == 512


def test_pictures_are_read_with_what_is_told_of_them() -> None:
    result = read(
        {
            "created": 7,
            "id": "i",
            "data": [
                {"b64_json": b64(PNG), "revised_prompt": "a tabby", "index": 0},
                {"b64_json": b64(JPEG), "url": None},
            ],
        }
    )
    assert isinstance(result, ImageResponse)
    assert (result.created, result.extra) == (7, {"id": "i"})
    first, second = result.data
    assert (first.content, first.media_type) == (PNG, "image/png")
    assert (first.revised_prompt, first.extra) == ("a tabby", {"index": 0})
    assert (second.content, second.media_type, second.url) == (JPEG, "image/jpeg", None)


@pytest.mark.parametrize(
    "text", [b64(PNG), b64(PNG)[:8] + "\n" + b64(PNG)[8:], f"data:image/png;base64,{b64(PNG)}"]
)
def test_base64_is_read_in_the_forms_it_comes_in(text: str) -> None:
    assert read({"data": [{"b64_json": text}]}).image.content == PNG


def test_a_type_nobody_knows_is_not_made_up() -> None:
    assert read({"data": [{"b64_json": b64(b"\x01\x02\x03")}]}).image.media_type is None


def test_hyperbolics_pictures_are_found_where_it_puts_them() -> None:
    answer = {"images": [{"index": 0, "image": b64(PNG), "random_seed": 5}], "inference_time": 0.8}
    result = read(answer, IMAGES_HYPERBOLIC)
    assert result.image.content == PNG
    assert result.image.extra == {"index": 0, "random_seed": 5}
    assert result.inference_time == 0.8


def test_pictures_that_lie_elsewhere_are_to_be_fetched() -> None:
    fetch = read(
        {
            "created": 7,
            "data": [
                {"url": "https://cdn.example/1.png", "revised_prompt": "r"},
                {"b64_json": b64(JPEG)},
                {"b64_json": "https://cdn.example/2.png", "index": 2},
            ],
        }
    )
    assert isinstance(fetch, Fetch)
    assert fetch.urls == ("https://cdn.example/1.png", "https://cdn.example/2.png")
    result = fetch.build((Media(PNG, "image/png", fetch.urls[0]), Media(url=fetch.urls[1])))
    first, second, third = result.data
    assert (first.content, first.url, first.revised_prompt) == (PNG, fetch.urls[0], "r")
    assert second.content == JPEG
    assert (third.content, third.url, third.extra) == (None, fetch.urls[1], {"index": 2})
    assert result.created == 7


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\x89PNG",
        [],
        {},
        {"data": None},
        {"data": []},
        {"data": [None]},
        {"data": [{}]},
        {"data": [{"b64_json": None, "url": None}]},
        {"data": [{"b64_json": ""}]},
        {"data": [{"b64_json": "no base64!"}]},
        {"data": [{"b64_json": "AAAAA"}]},
        {"data": [{"b64_json": 7, "url": 7}]},
        {"images": [{"image": b64(PNG)}]},
    ],
)
def test_an_answer_without_a_picture_is_refused(answer: Any) -> None:
    with pytest.raises(InvalidResponseError, match="cannot be read"):
        read(answer)


def test_base64_of_an_error_page_is_no_picture() -> None:
    with pytest.raises(InvalidResponseError, match="a web page came"):
        read({"data": [{"b64_json": b64(b"<html><body>sorry</body></html>")}]})


@pytest.mark.parametrize(
    ("model", "field"),
    [
        ("black-forest-labs/FLUX.1-kontext-dev", {"image_url": PICTURE.data_url}),
        ("black-forest-labs/FLUX.2-dev", {"reference_images": [PICTURE.data_url]}),
        ("other/kontext", {"reference_images": [PICTURE.data_url]}),
    ],
)
def test_together_is_given_the_picture_in_the_field_its_model_has(
    model: str, field: dict[str, Any]
) -> None:
    wish = Wish("image-to-image", model, PICTURE, {"steps": 4})
    assert json.loads(IMAGE_EDIT_TOGETHER.write(wish).data) == {
        "model": model,
        "prompt": "",
        "response_format": "base64",
        "steps": 4,
        **field,
    }


def test_together_is_told_the_prompt_and_the_size_of_an_edit() -> None:
    asked = {"prompt": "make it blue", "target_size": SIDES}
    body = json.loads(IMAGE_EDIT_TOGETHER.write(Wish("image-to-image", "m", PICTURE, asked)).data)
    assert (body["prompt"], body["width"], body["height"]) == ("make it blue", 512, 256)
    assert "target_size" not in body


def test_an_edit_is_a_form_with_the_picture_and_its_mask() -> None:
    asked = {"prompt": "a hat", "mask": Blob(JPEG, "image/jpeg"), "n": 2, "target_size": SIDES}
    body = IMAGE_EDIT.write(Wish("image-to-image", "m", PICTURE, asked, {"user": "u"}))
    parts = read_form(body.data, body.content_type or "")
    fields = [(part.name, part.text) for part in parts if part.filename is None]
    assert fields[0] == ("model", "m")
    assert dict(fields) == {
        "model": "m",
        "prompt": "a hat",
        "n": "2",
        "size": "512x256",
        "response_format": "b64_json",
        "user": "u",
    }
    assert [(p.name, p.filename, p.content_type, p.content) for p in parts if p.filename] == [
        ("image", "image.png", "image/png", PNG),
        ("mask", "image.jpg", "image/jpeg", JPEG),
    ]


def test_an_edited_picture_is_read_like_a_new_one() -> None:
    for shape in (IMAGE_EDIT, IMAGE_EDIT_TOGETHER):
        assert read({"data": [{"b64_json": b64(PNG)}]}, shape).image.content == PNG


@pytest.mark.parametrize("shape", [IMAGE_EDIT, IMAGE_EDIT_TOGETHER, LAYOUT_PARSING])
def test_a_task_on_a_picture_needs_one(shape: Shape) -> None:
    with pytest.raises(InvalidInputError, match="no picture"):
        shape.write(Wish("image-to-image", "m", "not a picture"))


def test_a_page_is_read_as_markdown() -> None:
    wish = Wish("image-to-text", "glm-ocr", PICTURE, {}, {"return_crop_images": True})
    assert json.loads(LAYOUT_PARSING.write(wish).data) == {
        "model": "glm-ocr",
        "file": PICTURE.data_url,
        "return_crop_images": True,
    }
    result = LAYOUT_PARSING.read(Reading(b'{"id":"i","md_results":"# Hi"}'), wish)
    assert isinstance(result, TextOutput)
    assert (str(result), result.extra) == ("# Hi", {"id": "i"})


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"md_results":null}', b'{"md_results":[]}'])
def test_an_answer_without_markdown_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidResponseError, match="cannot be read"):
        LAYOUT_PARSING.read(Reading(body), Wish("image-to-text", "m", PICTURE))
