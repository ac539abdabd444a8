"""Answers of pipelines about texts, tables, pictures and sounds, in every form that servers have."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.dialects.pipelines import PIPELINES
from trunkline.dialects.shape import Body, Fetch, Reading, Wish
from trunkline.errors import APIError, InvalidInputError, InvalidResponseError
from trunkline.providers.hf_inference import HF_INFERENCE_TASKS
from trunkline.providers.served import PIPELINE_TASKS, SERVED, TGI_TASKS
from trunkline.types.media import Blob, Media
from trunkline.types.results import (
    Answer,
    AudioPart,
    Box,
    Detection,
    Entity,
    Filling,
    ImageResponse,
    Items,
    Label,
    Segment,
    TableAnswer,
    TextOutput,
    TranscriptChunk,
    Transcription,
)
from trunkline.types.tasks import TASKS

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII="
)
PNG64 = base64.b64encode(PNG).decode()
FLAC = b"fLaC\x00\x00\x00\x22" + bytes(34)
FLAC64 = base64.b64encode(FLAC).decode()


def read(task: str, answer: Any, inputs: Any = "x", **parameters: Any) -> Any:
    reading = Reading(json.dumps(answer).encode(), "application/json")
    return PIPELINES[task].read(reading, Wish(task, "m", inputs, parameters))


def read_bytes(task: str, body: bytes, kind: str = "") -> Any:
    return PIPELINES[task].read(Reading(body, kind), Wish(task, "m", "x"))


def write(task: str, inputs: Any, extra: dict[str, Any] | None = None, **parameters: Any) -> Body:
    return PIPELINES[task].write(Wish(task, "m", inputs, parameters, extra or {}))


YES, NO = {"label": "yes", "score": 0.75}, {"label": "no", "score": 0.25}
LABELS = [Label("yes", 0.75), Label("no", 0.25)]
SIDES = ("xmin", "ymin", "xmax", "ymax")
TOKEN = {"word": "Bo", "entity": "B-PER", "index": 1, "score": 0.5, "start": 0, "end": 2}
GROUP = {"word": "Bo", "entity_group": "PER", "score": 0.5, "start": None, "end": None}
FILLED = {"score": 0.5, "token": 7, "token_str": "cat", "sequence": "a cat"}
FILLING = Filling("cat", "a cat", 0.5, 7)
BOX = {"xmin": 1, "ymin": 2.5, "xmax": 3, "ymax": 4}
CELL = {"answer": "12", "coordinates": [[0, 1]], "cells": ["12"], "aggregator": "NONE"}

FITTING: list[tuple[str, Any, Any]] = [
    ("text-classification", [YES, NO], LABELS),
    ("text-classification", [[YES, NO]], LABELS),
    ("text-classification", [{"label": "yes"}], [Label("yes")]),
    ("text-classification", [{**YES, "id": 3}], [Label("yes", 0.75, {"id": 3})]),
    ("text-classification", [], []),
    ("audio-classification", [YES, NO], LABELS),
    ("image-classification", [NO, YES], LABELS[::-1]),
    ("image-classification", {"results": [YES, NO]}, LABELS),
    ("zero-shot-image-classification", [YES, NO], LABELS),
    ("zero-shot-classification", [YES, NO], LABELS),
    (
        "zero-shot-classification",
        {"sequence": "x", "labels": ["yes", "no"], "scores": [0.75, 0.25]},
        LABELS,
    ),
    (
        "zero-shot-classification",
        [{"sequence": "x", "labels": ["yes", "no"], "scores": [0.75, 0.25]}],
        LABELS,
    ),
    (
        "token-classification",
        [TOKEN, GROUP],
        [
            Entity("Bo", "B-PER", None, 0.5, 0, 2, {"index": 1}),
            Entity("Bo", None, "PER", 0.5),
        ],
    ),
    ("fill-mask", [FILLED], [FILLING]),
    ("fill-mask", [[FILLED]], [FILLING]),
    ("fill-mask", [[FILLED], [FILLED, FILLED]], [Items([FILLING]), Items([FILLING, FILLING])]),
    ("question-answering", {"answer": "a", "score": 0.5}, [Answer("a", 0.5)]),
    (
        "question-answering",
        [{"answer": "a", "score": 0.5, "start": 3, "end": 4}, {"answer": ""}],
        [Answer("a", 0.5, 3, 4), Answer("")],
    ),
    ("visual-question-answering", [{"answer": "2", "score": 1}], [Answer("2", 1.0)]),
    ("document-question-answering", [{"answer": "us"}], [Answer("us")]),
    ("table-question-answering", CELL, [TableAnswer("12", [[0, 1]], ["12"], "NONE")]),
    (
        "table-question-answering",
        [CELL, {"answer": "x"}],
        [TableAnswer("12", [[0, 1]], ["12"], "NONE"), TableAnswer("x")],
    ),
    ("summarization", [{"summary_text": "s"}], TextOutput("s", {"summary_text": "s"})),
    ("translation", {"translation_text": "t"}, TextOutput("t", {"translation_text": "t"})),
    ("translation", [[{"translation_text": "t"}]], TextOutput("t", {"translation_text": "t"})),
    ("image-to-text", [{"generated_text": "g"}], TextOutput("g", {"generated_text": "g"})),
    ("image-to-text", {"text": "t", "id": 1}, TextOutput("t", {"id": 1})),
    (
        "summarization",
        [{"summary_text": "s"}, {"summary_text": "u"}],
        TextOutput("s", {"summary_text": "s", "alternatives": [{"summary_text": "u"}]}),
    ),
    (
        "object-detection",
        [{"label": "cat", "score": 0.5, "box": BOX}],
        [Detection("cat", 0.5, Box(1, 2.5, 3, 4))],
    ),
    ("object-detection", [], []),
    (
        "image-segmentation",
        [{"label": "sky", "score": None, "mask": PNG64}],
        [Segment("sky", None, Media(PNG, "image/png"))],
    ),
    (
        "image-segmentation",
        {"results": [{"label": "sky", "mask": f"data:image/png;base64,{PNG64}"}]},
        [Segment("sky", None, Media(PNG, "image/png"))],
    ),
    ("automatic-speech-recognition", {"text": "hi"}, Transcription("hi")),
    ("automatic-speech-recognition", [{"text": "hi"}], Transcription("hi")),
    ("automatic-speech-recognition", {"text": "", "chunks": []}, Transcription("", [])),
    ("automatic-speech-recognition", "hi", Transcription("hi")),
    (
        "automatic-speech-recognition",
        {"text": "hi", "chunks": "b"},
        Transcription("hi", extra={"chunks": "b"}),
    ),
    (
        "automatic-speech-recognition",
        {"text": "hi", "chunks": [{"text": "hi", "timestamp": [1]}]},
        Transcription("hi", [TranscriptChunk("hi", extra={"timestamp": [1]})]),
    ),
    (
        "automatic-speech-recognition",
        {"text": "hi", "chunks": [{"text": "hi", "timestamp": [0, 1.5]}], "language": "en", "x": 1},
        Transcription("hi", [TranscriptChunk("hi", 0, 1.5)], "en", None, {"x": 1}),
    ),
    (
        "automatic-speech-recognition",
        {"text": "hi", "chunks": [{"text": "hi", "timestamp": [2.0, None]}, {"text": "!"}]},
        Transcription("hi", [TranscriptChunk("hi", 2.0), TranscriptChunk("!")]),
    ),
    (
        "audio-to-audio",
        [{"label": "a", "blob": FLAC64, "content-type": "audio/flac"}],
        [AudioPart("a", Media(FLAC, "audio/flac"))],
    ),
    ("sentence-similarity", [1, 0.5], [1.0, 0.5]),
    ("sentence-similarity", [[1, 0.5]], [1.0, 0.5]),
    ("sentence-similarity", {"similarities": [0.5]}, [0.5]),
    ("sentence-similarity", {"similarities": [[0.5, 0.25]]}, [0.5, 0.25]),
    ("tabular-classification", [5, "red", True], [5, "red", True]),
    ("tabular-regression", [5, 1.5, "-2.5e-1"], [5, 1.5, -0.25]),
    ("text-classification", YES, LABELS[:1]),
    ("text-classification", [{"label": 3, "score": "0.75"}], [Label("3", 0.75)]),
    ("token-classification", {"word": "Bo", "start": "0"}, [Entity("Bo", start=0)]),
    ("visual-question-answering", [{"answer": 2, "score": 1}], [Answer("2", 1)]),
    ("fill-mask", {"token_str": "a"}, [Filling("a")]),
    ("table-question-answering", {"answer": "5", "cells": [5]}, [TableAnswer("5", cells=["5"])]),
    (
        "object-detection",
        {"label": "cat", "score": 1, "box": {**dict.fromkeys(SIDES, 1), "angle": 0.5}},
        [Detection("cat", 1, Box(1, 1, 1, 1), {"box": {"angle": 0.5}})],
    ),
    (
        "image-segmentation",
        {"label": None, "mask": PNG64.rstrip("=")},
        [Segment(None, None, Media(PNG, "image/png"))],
    ),
    ("text-to-image", PNG64, ImageResponse([Media(PNG, "image/png")])),
    ("text-to-image", [PNG64], ImageResponse([Media(PNG, "image/png")])),
    ("text-to-image", {"image": PNG64}, ImageResponse([Media(PNG, "image/png")])),
    ("text-to-image", {"data": [{"b64_json": PNG64}]}, ImageResponse([Media(PNG, "image/png")])),
    (
        "image-to-image",
        {"images": [PNG64, {"image": PNG64, "index": 1}], "seed": 7},
        ImageResponse(
            [Media(PNG, "image/png"), Media(PNG, "image/png", extra={"index": 1})],
            extra={"seed": 7},
        ),
    ),
    ("text-to-speech", {"audio": FLAC64}, Media(FLAC, "audio/flac")),
    (
        "text-to-speech",
        {"audio": FLAC64, "sampling_rate": 16000},
        Media(FLAC, "audio/flac", extra={"sampling_rate": 16000}),
    ),
    (
        "text-to-audio",
        [{"blob": FLAC64, "content-type": "audio/flac", "label": "l"}],
        Media(FLAC, "audio/flac", extra={"label": "l"}),
    ),
]


@pytest.mark.parametrize(("task", "answer", "expected"), FITTING)
def test_every_form_of_an_answer_becomes_its_tasks_result(task: str, answer: Any, expected: Any):
    result = read(task, answer)
    assert result == (tuple(expected) if isinstance(expected, list) else expected)
    assert isinstance(result, Items) is isinstance(expected, list)


MISFITS: list[tuple[str, Any, str]] = [
    ("automatic-speech-recognition", [YES, NO], "a list of 2, first an object with label, score"),
    ("automatic-speech-recognition", 5, "it is a number, where a transcription"),
    ("automatic-speech-recognition", {"text": None}, "text is null, not a text"),
    ("text-classification", {"text": "hi"}, "an object with text, where an object with label"),
    ("text-classification", "yes", "a text, where a list of objects"),
    ("text-classification", [{"error": "busy"}, YES], "an error: busy"),
    ("text-classification", [0.5, 0.25], "a number, where an object with label and score"),
    ("text-classification", [{"score": 1}], "an object with score, where an object with label"),
    ("text-classification", [{"label": None}], "label is null, not a text"),
    ("text-classification", [{"label": True}], "label is true, not a text"),
    ("text-classification", [{"label": "a", "score": "high"}], "score is a text, not a number"),
    ("text-classification", [{"label": "a", "score": "1e999"}], "score is a text, not a number"),
    ("text-classification", [{"label": "a", "score": True}], "score is true, not a number"),
    ("text-classification", [YES, [NO]], "a list of 1, first an object with label, score"),
    ("text-classification", [[[YES]]], "where an object with label and score is expected"),
    ("zero-shot-classification", {"labels": ["a"], "scores": []}, "its labels are a list of 1"),
    ("zero-shot-classification", {"labels": "a", "scores": [1]}, "its labels are a text"),
    ("token-classification", [YES], "an object with label, score, where an object with word"),
    ("token-classification", [{"word": "a", "start": 1.5}], "start is 1.5, not a whole number"),
    ("fill-mask", [YES], "where an object with token_str is expected"),
    ("question-answering", {}, "an empty object, where an object with answer"),
    ("question-answering", None, "it is null"),
    ("question-answering", {"answer": [5]}, "answer is a list of 1, first a number, not a text"),
    ("table-question-answering", {**CELL, "coordinates": [[0]]}, "a coordinate is a list of 1"),
    ("table-question-answering", {**CELL, "coordinates": {}}, "coordinates is an empty object"),
    ("table-question-answering", {"cells": []}, "where an object with answer and cells"),
    ("table-question-answering", {**CELL, "cells": [None]}, "cell is null, not a text"),
    ("summarization", [], "an empty list, where an object with a text is expected"),
    ("summarization", [YES], "an object with label, score, where an object with a text"),
    ("translation", {"translation_text": ["t"]}, "translation_text is a list of 1"),
    ("object-detection", [YES], "where an object with label and box is expected"),
    ("object-detection", [{"label": "a", "box": {"xmin": 1}}], "ymin is null, not a number"),
    ("image-segmentation", [YES], "where an object with label and mask is expected"),
    ("image-segmentation", [{"label": "a", "mask": "%%"}], "a mask is not base64"),
    ("audio-to-audio", [YES], "where an object with label and blob is expected"),
    ("audio-to-audio", [{"label": "a", "blob": ""}], "The file is empty"),
    ("sentence-similarity", [[0.5], [0.25]], "a similarity is a list of 1"),
    ("sentence-similarity", ["a"], "a similarity is a text"),
    ("sentence-similarity", {"similarities": [[0.5], [0.5]]}, "a similarity is a list of 1"),
    ("sentence-similarity", {"scores": [0.5]}, "where a number for each sentence is expected"),
    ("tabular-classification", {"labels": []}, "where a value for each row is expected"),
    ("tabular-classification", [[1], [2]], "where a class for each row is expected"),
    ("tabular-classification", [None], "where a class for each row is expected"),
    ("tabular-regression", ["five"], "a value is a text, not a number"),
    ("text-to-image", {"text": "no"}, "an object with text, where an image is expected"),
    ("text-to-image", {"images": [5]}, "a number, where an image is expected"),
    ("text-to-image", {"images": []}, "where an image is expected"),
    ("text-to-image", {"images": [{"seed": 1}]}, "where an image is expected"),
    ("text-to-image", {"images": ["nothing!"]}, "an image is not base64"),
    ("text-to-speech", {"audio": [0.1, 0.2]}, "where a sound is expected"),
    ("text-to-speech", [YES], "where a sound is expected"),
]


@pytest.mark.parametrize(("task", "answer", "says"), MISFITS)
def test_an_answer_that_does_not_fit_is_refused_and_kept(task: str, answer: Any, says: str):
    with pytest.raises(InvalidResponseError) as caught:
        read(task, answer)
    assert says in str(caught.value)
    assert caught.value.body == json.dumps(answer)


def test_a_list_of_texts_gets_items_for_each():
    result = read("text-classification", [[YES, NO], [NO]], ["a", "b"])
    assert result == (tuple(LABELS), (LABELS[1],))
    assert read("text-classification", [[YES]], ["a"]) == ((LABELS[0],),)
    both = read("translation", [{"translation_text": "c"}, {"translation_text": "d"}], ["a", "b"])
    assert [text.text for text in both] == ["c", "d"]
    (one,) = read("translation", [{"translation_text": "c"}], ["a"])
    assert one.translation_text == "c"


@pytest.mark.parametrize("task", ["tabular-classification", "tabular-regression"])
def test_a_table_has_a_value_for_each_row(task: str):
    table = {"data": {"a": [1, 2], "b": ["x", "y"]}}
    assert read(task, [1, 2], table) == (1, 2)
    with pytest.raises(InvalidResponseError, match=r"values \(3\) are not as many as the rows"):
        read(task, [1, 2, 3], table)


def test_there_is_a_similarity_for_each_sentence():
    inputs = {"source_sentence": "a", "sentences": ["b", "c"]}
    assert read("sentence-similarity", [0.5, 0.25], inputs) == (0.5, 0.25)
    with pytest.raises(InvalidResponseError, match=r"numbers \(1\) are not as many as the sent"):
        read("sentence-similarity", [0.5], inputs)


@pytest.mark.parametrize("task", ["text-to-image", "image-to-image"])
@pytest.mark.parametrize("kind", ["image/png", "image/jpeg", "application/octet-stream", ""])
def test_an_images_bytes_say_what_it_is(task: str, kind: str):
    assert read_bytes(task, PNG, kind) == ImageResponse([Media(PNG, "image/png")])


@pytest.mark.parametrize("kind", ["audio/flac", "audio/wav", "application/octet-stream", ""])
def test_a_sounds_bytes_say_what_it_is(kind: str):
    assert read_bytes("text-to-speech", FLAC, kind) == Media(FLAC, "audio/flac")
    assert read_bytes("audio-to-audio", FLAC, kind) == (AudioPart(None, Media(FLAC, "audio/flac")),)


def test_samples_without_a_header_are_what_the_server_says():
    samples = bytes(range(1, 100))
    assert read_bytes("text-to-speech", samples, "audio/l16") == Media(samples, "audio/l16")
    told = read_bytes("text-to-speech", samples, "application/octet-stream")
    assert told == Media(samples, None)


@pytest.mark.parametrize(
    ("task", "body", "kind", "says"),
    [
        ("text-to-image", b"", "image/jpeg", "it is empty"),
        ("text-to-speech", b"", "audio/flac", "it is empty"),
        ("audio-to-audio", b"", "application/json", "it is empty"),
        ("text-to-image", FLAC, "image/png", "it is a FLAC recording, where an image is expected"),
        ("text-to-speech", PNG, "audio/wav", "it is a PNG image, where a sound is expected"),
        ("text-to-image", b"<html><body>no", "image/png", "it is a web page"),
        ("text-to-image", b"plain words", "text/plain", "it is not JSON"),
        ("text-classification", b"tree", "application/json", "it is not JSON"),
    ],
)
def test_a_body_that_is_no_such_file_is_refused(task: str, body: bytes, kind: str, says: str):
    with pytest.raises(InvalidResponseError, match=says) as caught:
        read_bytes(task, body, kind)
    assert caught.value.body == body.decode("utf-8", "replace")


def test_images_that_lie_elsewhere_are_to_be_fetched_and_keep_their_place():
    answer = {
        "output": [PNG64, {"url": "https://x/a.png", "seed": 3}, "http://x/b", "https://x/c"],
        "took": 1,
    }
    fetch = read("text-to-image", answer)
    assert isinstance(fetch, Fetch)
    assert fetch.urls == ("https://x/a.png", "http://x/b", "https://x/c")
    files = tuple(Media(bytes([n]), "image/webp", url) for n, url in enumerate(fetch.urls))
    result = fetch.build(files)
    assert [image.content for image in result.data] == [PNG, b"\x00", b"\x01", b"\x02"]
    assert [image.url for image in result.data] == [None, *fetch.urls]
    assert result.data[1].seed == 3
    assert result.took == 1


@pytest.mark.parametrize("answer", [{"audio": "https://x/a"}, {"audio": {"url": "https://x/a"}}])
def test_a_sound_that_lies_elsewhere_is_to_be_fetched(answer: Any):
    fetch = read("text-to-speech", {**answer, "rate": 1})
    assert fetch.urls == ("https://x/a",)
    sound = fetch.build((Media(FLAC, "audio/flac", "https://x/a"),))
    assert (sound.content, sound.url, sound.rate) == (FLAC, "https://x/a", 1)


def test_a_file_goes_as_it_is_unless_there_is_more_to_say():
    blob = Blob(FLAC, "audio/flac")
    raw = write("automatic-speech-recognition", blob)
    assert (raw.data, raw.content_type, raw.accept) == (FLAC, "audio/flac", "application/json")
    told = write("automatic-speech-recognition", blob, return_timestamps=True)
    assert told.content_type == "application/json"
    assert json.loads(told.data) == {"inputs": FLAC64, "parameters": {"return_timestamps": True}}
    extra = write("automatic-speech-recognition", blob, {"options": {"a": 1}})
    assert json.loads(extra.data) == {"inputs": FLAC64, "options": {"a": 1}}
    assert write("image-to-text", blob, max_new_tokens=None).data == FLAC


def test_images_to_be_segmented_go_in_json_only():
    told = write("image-segmentation", Blob(PNG, "image/png"))
    assert json.loads(told.data) == {"inputs": PNG64}


def test_an_image_to_be_changed_goes_as_it_is_unless_there_is_more_to_say():
    plain = write("image-to-image", Blob(PNG, "image/png"))
    assert (plain.data, plain.content_type, plain.accept) == (PNG, "image/png", "image/png")
    told = write("image-to-image", Blob(PNG, "image/png"), prompt="blue")
    assert json.loads(told.data) == {"inputs": PNG64, "parameters": {"prompt": "blue"}}


def test_several_files_are_each_in_base64():
    told = write("image-classification", [Blob(PNG, "image/png"), Blob(FLAC, "audio/flac")])
    assert json.loads(told.data) == {"inputs": [PNG64, FLAC64]}
    told = write("image-to-image", Blob(PNG, "image/png"), mask_image=Blob(PNG, "image/png"))
    assert json.loads(told.data) == {"inputs": PNG64, "parameters": {"mask_image": PNG64}}


def test_a_file_beside_other_inputs_is_base64():
    body = write("visual-question-answering", {"image": Blob(PNG), "question": "q"}, top_k=1)
    inputs = {"image": PNG64, "question": "q"}
    assert json.loads(body.data) == {"inputs": inputs, "parameters": {"top_k": 1}}


def test_additions_are_merged_last_and_deep():
    body = write("fill-mask", "x", {"parameters": {"top_k": 5, "a": 1}, "b": 2}, top_k=2, c=None)
    assert json.loads(body.data) == {"inputs": "x", "parameters": {"top_k": 5, "a": 1}, "b": 2}


@pytest.mark.parametrize(
    ("task", "accept"),
    [
        ("text-to-image", "image/png"),
        ("image-to-image", "image/png"),
        ("text-to-speech", "*/*"),  # toolkits refuse an Accept that names a sound
        ("text-to-audio", "*/*"),
        ("audio-to-audio", "application/json"),
        ("summarization", "application/json"),
    ],
)
def test_a_request_says_what_may_come(task: str, accept: str):
    assert write(task, "x").accept == accept
    assert write(task, "x", seed=1).accept == accept


@pytest.mark.parametrize("task", PIPELINES)
def test_what_json_cannot_hold_is_refused_before_anything_is_sent(task: str):
    with pytest.raises(InvalidInputError):
        write(task, "x", {"a": float("nan")})


def test_every_task_is_one_of_the_hubs_and_has_its_route():
    assert set(PIPELINES) == set(HF_INFERENCE_TASKS) == set(PIPELINE_TASKS)
    assert set(PIPELINES) <= set(TASKS)
    assert {route.path for route in PIPELINE_TASKS.values()} == {""}
    paths = {task: route.path for task, route in HF_INFERENCE_TASKS.items()}
    assert paths.pop("text-generation") == "models/{model}/v1/completions"
    assert paths.pop("feature-extraction") == "models/{model}/pipeline/feature-extraction"
    assert paths.pop("sentence-similarity") == "models/{model}/pipeline/sentence-similarity"
    assert set(paths.values()) == {"models/{model}"}
    assert SERVED["openai"]["feature-extraction"].path == "v1/embeddings"
    assert TGI_TASKS["text-generation"].path == "generate"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-1, 1) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "label",
                    "score",
                    "text",
                    "answer",
                    "box",
                    "mask",
                    "labels",
                    "scores",
                    "url",
                    "index",
                ]
                + [
                    "chunks",
                    "timestamp",
                    "embeddings",
                    "generated_text",
                    "details",
                    "data",
                    "audio",
                ]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@given(st.sampled_from(sorted(PIPELINES)), JSON)
def test_any_json_is_either_read_or_refused(task: str, answer: Any):
    inputs = {"query": "q", "texts": ["a", "b"]} if task == "text-ranking" else "x"
    try:
        result = read(task, answer, inputs)
    except APIError as error:
        assert isinstance(error, InvalidResponseError)
        assert str(error).strip()
    else:
        assert result is not None
