"""One row for each task's function: what it is given, and what has to hold of what it brings."""

from __future__ import annotations

import io
import json
import wave
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from PIL import Image

from trunkline import (
    EmbeddingResponse,
    ImageResponse,
    Items,
    Media,
    RerankResponse,
    TextCompletion,
    TextOutput,
    Transcription,
)
from trunkline.sandbox import Sandbox
from trunkline.types.tasks import FUNCTIONS
from trunkline.wire.http1_read import RequestHead

Call = Callable[..., Any]
"""Calls a task's function by its name."""
WIDTH, HEIGHT = 64, 48
SECONDS = 2


def picture() -> bytes:
    written = io.BytesIO()
    Image.new("RGB", (WIDTH, HEIGHT), (200, 10, 10)).save(written, "PNG")
    return written.getvalue()


def recording() -> bytes:
    written = io.BytesIO()
    with wave.open(written, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(8000 * 2 * SECONDS))
    return written.getvalue()


PICTURE, RECORDING = picture(), recording()


class Row(NamedTuple):
    """A function's arguments after the model, and what must hold of its result."""

    arguments: tuple[Any, ...]
    holds: Callable[[Any], object]
    keywords: dict[str, Any] = {}  # noqa: RUF012 - read only


# what must hold; each can fail


def scores(found: Any, *, within: set[str] | None = None) -> None:
    assert isinstance(found, Items) and found
    told = [row.score for row in found]
    assert all(0 <= score <= 1 for score in told)
    assert told == sorted(told, reverse=True)
    labels = [row.label for row in found]
    assert all(isinstance(label, str) and label for label in labels)
    assert within is None or set(labels) == within


def at_most(count: int) -> Callable[[Any], object]:
    def holds(found: Any) -> None:
        assert 1 <= len(found) <= count

    return holds


def is_sound(found: Any) -> None:
    assert isinstance(found, Media)
    assert found.media_type is not None and found.media_type.startswith("audio/")
    with wave.open(io.BytesIO(found.bytes)) as file:
        assert file.getnframes() / file.getframerate() > 0


def is_video(found: Any) -> None:
    assert isinstance(found, Media)
    assert found.media_type == "video/mp4"
    assert found.bytes[4:8] == b"ftyp"
    assert found.suffix == ".mp4"


def sized(width: int, height: int) -> Callable[[Any], object]:
    def holds(found: Any) -> None:
        assert found.image.pil().size == (width, height)

    return holds


def is_image(found: Any) -> None:
    assert isinstance(found, ImageResponse)
    assert found.image is found.data[0]
    assert min(found.image.pil().size) > 0


def are_boxes(found: Any) -> None:
    assert found
    for row in found:
        assert 0 <= row.box.xmin < row.box.xmax <= WIDTH
        assert 0 <= row.box.ymin < row.box.ymax <= HEIGHT
        assert row.label and 0 <= row.score <= 1


def are_masks(found: Any) -> None:
    assert found
    assert all(min(row.mask.pil().size) > 0 for row in found)


def are_sounds(found: Any) -> None:
    assert found
    for row in found:
        is_sound(row.audio)


CONTEXT = "The dog barks. The cat sleeps on the sofa."


def stands_in_the_context(found: Any) -> None:
    best = found[0]
    assert CONTEXT[best.start : best.end] == best.answer
    assert "cat" in best.answer


def is_answered(found: Any) -> None:
    assert found and all(row.answer for row in found)


TABLE = {"name": ["trunkline", "other"], "stars": ["5", "9"]}


def comes_from_the_table(found: Any) -> None:
    (best,) = found
    assert best.answer
    assert best.cells
    columns = list(TABLE.values())
    assert [columns[column][row] for row, column in best.coordinates] == best.cells


def dot(one: list[float], other: list[float]) -> float:
    return sum(x * y for x, y in zip(one, other, strict=True))


def are_near(found: Any) -> None:
    assert isinstance(found, EmbeddingResponse)
    assert [row.index for row in found.data] == [0, 1, 2]
    cat, naps, tax = found.vectors
    assert dot(cat, naps) > dot(cat, tax) + 0.2
    assert found.numpy().shape == (3, len(cat))


def cats_first(found: Any) -> None:
    assert isinstance(found, RerankResponse)
    assert [row.index for row in found.results] == [1, 0]
    assert found.results[0].relevance_score > found.results[1].relevance_score


SENTENCE = "My name is Sarah and I live in London"


def are_in_the_sentence(found: Any) -> None:
    assert [row.word for row in found] == ["Sarah", "London"]
    assert all(SENTENCE[row.start : row.end] == row.word and row.label for row in found)


MASKED = "Paris is the [MASK] of France."


def fills(found: Any) -> None:
    assert found
    for row in found:
        assert row.sequence == MASKED.replace("[MASK]", row.token_str)


def says(*words: str) -> Callable[[Any], object]:
    def holds(found: Any) -> None:
        assert isinstance(found, (TextOutput, Transcription))
        assert all(word in found.text for word in words)
        assert str(found) == found.text

    return holds


def continues(found: Any) -> None:
    assert isinstance(found, TextCompletion)
    assert found.text == found.choices[0].text != ""
    assert found.choices[0].finish_reason == "length"


def weighs(found: Any) -> None:
    assert [len(row) for row in found] == [2, 1]
    assert all(isinstance(key, int) and value > 0 for row in found for key, value in row.items())


def one_a_row(found: Any) -> None:
    assert len(found) == 2
    assert all(isinstance(value, (int, float, str)) for value in found)


def similar(found: Any) -> None:
    assert found[0] == pytest.approx(1.0)
    assert found[0] > found[1]


ROWS: dict[str, Row] = {
    "audio_classification": Row((RECORDING,), scores),
    "audio_to_audio": Row((RECORDING,), are_sounds),
    "document_question_answering": Row((PICTURE, "What is the total?"), is_answered),
    "embedding": Row((["the cat sleeps", "the cat naps", "tax forms are due"],), are_near),
    "fill_mask": Row((MASKED,), fills),
    "image_classification": Row((PICTURE,), scores),
    "image_edit": Row((PICTURE, "make it blue"), is_image),
    "image_generation": Row(("a horse",), sized(96, 64), {"size": "96x64"}),
    "image_segmentation": Row((PICTURE,), are_masks),
    "image_text_to_image": Row(("a cat", PICTURE), is_image),
    "image_text_to_video": Row(("a cat runs", PICTURE), is_video),
    "image_to_text": Row((PICTURE,), says("simulated")),
    "image_to_video": Row((PICTURE, "it runs"), is_video),
    "object_detection": Row((PICTURE,), are_boxes),
    "question_answering": Row(("Where does the cat sleep?", CONTEXT), stands_in_the_context),
    "rerank": Row(("cats purr", ["dogs bark", "cats purr a lot"]), cats_first),
    "sentence_similarity": Row(("a cat", ["a cat", "taxes"]), similar),
    "sparse_embedding": Row((["to be to", "to to"],), weighs),
    "speech": Row(("Hello there.",), is_sound),
    "summarization": Row(("A cat slept. It slept for days.",), says("A cat slept.")),
    "table_question_answering": Row(("How many stars has trunkline?", TABLE), comes_from_the_table),
    "tabular_classification": Row(({"a": [1, 2], "b": [3, 4]},), one_a_row),
    "tabular_regression": Row(([{"a": 1, "b": 3}, {"a": 2, "b": 4}],), one_a_row),
    "text_classification": Row(("I love this",), scores),
    "text_completion": Row(("Once upon a time",), continues, {"max_tokens": 4}),
    "text_to_audio": Row(("rain on a roof",), is_sound),
    "text_to_video": Row(("a dog runs",), is_video),
    "token_classification": Row((SENTENCE,), are_in_the_sentence),
    "transcription": Row((RECORDING,), says("audio/wav", f"{SECONDS} s")),
    "translation": Row(("Hello there",), says("Hello there")),
    "visual_question_answering": Row((PICTURE, "What is it?"), is_answered),
    "zero_shot_classification": Row(
        ("cats purr", ["cats purr", "dogs"]),
        lambda found: (scores(found, within={"cats purr", "dogs"}), found[0].label == "cats purr"),
    ),
    "zero_shot_image_classification": Row(
        (PICTURE, ["cats", "dogs"]), lambda found: scores(found, within={"cats", "dogs"})
    ),
}

TASK_OF = {function: task for task, function in FUNCTIONS.items()}


# the models, as the sandbox's Hub lists them


def _hub(target: str) -> Any:
    path, _, query = target.partition("?")
    head = RequestHead("GET", target, path, query, {"authorization": "Bearer hf_good"})
    return json.loads(Sandbox().answer(head, b"").body)


def listed() -> dict[tuple[str, str], list[str]]:
    """Return the models that anybody may call, by provider and task, in the Hub's order."""
    found: dict[tuple[str, str], list[str]] = {}
    for model in _hub("/api/models?expand=inferenceProviderMapping&expand=gated"):
        for row in [] if model["gated"] else model["inferenceProviderMapping"]:
            if row["status"] == "live" and "adapter" not in row:
                found.setdefault((row["provider"], row["task"]), []).append(model["id"])
    return found


LISTED = listed()


def model_for(task: str) -> str:
    """Return a model that is served for a task, whoever serves it."""
    return next(names[0] for (_, served), names in LISTED.items() if served == task)
