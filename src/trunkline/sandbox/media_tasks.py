"""Answers of pipelines that read or make pictures and sounds: told from the files' own bytes."""

from __future__ import annotations

import base64
from typing import Any

from trunkline.sandbox import media_files
from trunkline.sandbox.arrivals import Arrived
from trunkline.sandbox.asking import Ask, fields_of, text_of, wrong
from trunkline.sandbox.reply import Reply
from trunkline.sandbox.text_tasks import candidates, ranked
from trunkline.sandbox.vectors import softmax

_MOODS = ("neu", "hap", "ang", "sad")
_THINGS = ("cat", "dog", "person", "umbrella", "bicycle")
_SIZE = (512, 512)


def image_classification(ask: Ask) -> Any:
    """Return what the picture could show."""
    ask.file("image")
    return _guesses(ask, _THINGS)


def audio_classification(ask: Ask) -> Any:
    """Return what mood the voice could have."""
    ask.file("audio")
    return _guesses(ask, _MOODS)


def _guesses(ask: Ask, labels: tuple[str, ...] | list[str]) -> list[dict[str, Any]]:
    scores = softmax([3 * ask.score(label) for label in labels])
    return ranked(dict(zip(labels, scores, strict=True)))[: ask.count("top_k", 5)]


def zero_shot_image_classification(ask: Ask) -> Any:
    """Return the labels that were asked for; the picture comes alone or as `image`."""
    image = ask.inputs.get("image") if isinstance(ask.inputs, dict) else ask.inputs
    ask.file("image", image or b"")
    return _guesses(ask, candidates(ask))


def object_detection(ask: Ask) -> Any:
    """Return two things in the picture and where they are."""
    width, height = _pixels(ask.file("image"))
    boxes = ((0, 0, width // 2, height), (width // 4, height // 4, width, height))
    least = ask.parameters.get("threshold") or 0.0
    scores = [0.5 + ask.score(label) / 2 for label in _THINGS]
    corners = ("xmin", "ymin", "xmax", "ymax")
    return [
        {"score": score, "label": label, "box": dict(zip(corners, box, strict=True))}
        for score, label, box in zip(scores, _THINGS, boxes, strict=False)
        if score >= least
    ]


def image_segmentation(ask: Ask) -> Any:
    """Return two halves of the picture as masks."""
    width, height = _pixels(ask.file("image"))
    return [
        {
            "score": 0.9 - i / 10,
            "label": f"LABEL_{i}",
            "mask": b64(media_files.mask(width, height, i)),
        }
        for i in range(2)
    ]


def image_to_text(ask: Ask) -> Any:
    """Return a caption that says what came."""
    return [{"generated_text": f"[simulated] a picture: {ask.file('image')}"}]


def visual_question_answering(ask: Ask) -> Any:
    """Return what could answer a question about a picture."""
    image, question = fields_of(ask.inputs, "image", "question")
    ask.file("image", image)
    rows = _guesses(ask, ("2", "1", "yes", "no", text_of(question).split()[0].lower()))
    return [{"score": row["score"], "answer": row["label"]} for row in rows]


def document_question_answering(ask: Ask) -> Any:
    """Return what could be read in a document: the number of its bytes."""
    image, question = fields_of(ask.inputs, "image", "question")
    text_of(question)
    seen = ask.file("image", image)
    return [{"score": 0.9, "answer": str(seen.size), "start": 0, "end": 0}]


def transcription(ask: Ask) -> Any:
    """Return what came, as if somebody had said it."""
    heard = ask.file("audio")
    told: dict[str, Any] = {"text": heard_text(heard)}
    if ask.parameters.get("return_timestamps"):
        told["chunks"] = [{"timestamp": [0.0, heard.seconds or 1.0], "text": told["text"]}]
    return told


def heard_text(heard: Arrived) -> str:
    """Return a transcription: what kind of sound came."""
    return f"[simulated] {heard}"


def audio_to_audio(ask: Ask) -> Any:
    """Return the sound taken apart into two."""
    heard = ask.file("audio")
    seconds = heard.seconds or 1.0
    return [
        {
            "label": f"label_{i}",
            "blob": b64(media_files.wav(ask.visit.mark(ask.mark, i), seconds)),
            "content-type": "audio/wav",
        }
        for i in range(2)
    ]


def make_image(ask: Ask) -> Reply:
    """Return a picture for a text, as large as was asked for."""
    text_of(ask.inputs)
    size = ask.count("width", _SIZE[0]), ask.count("height", _SIZE[1])
    return media_files.typed(media_files.png(ask.mark, *size), "png")


def change_image(ask: Ask) -> Reply:
    """Return a picture for a picture and a text."""
    ask.file("image")
    target = ask.parameters.get("target_size") or {}
    width, height = (target.get(name) or default for name, default in _named_size())
    if not isinstance(width, int) or not isinstance(height, int):
        raise wrong("Error in `parameters.target_size`: width and height expected")
    return media_files.typed(media_files.png(ask.mark, width, height), "png")


def make_sound(ask: Ask) -> Reply:
    """Return a sound as long as it takes to say the text."""
    text = text_of(ask.inputs)
    return media_files.typed(media_files.wav(ask.mark, media_files.spoken_seconds(text)), "wav")


def make_video(ask: Ask) -> Reply:
    """Return a video for a text."""
    text_of(ask.inputs)
    return media_files.typed(media_files.mp4(ask.mark), "mp4")


def animate_image(ask: Ask) -> Reply:
    """Return a video for a picture."""
    ask.file("image")
    return media_files.typed(media_files.mp4(ask.mark), "mp4")


def b64(content: bytes) -> str:
    """Return a file as base64 text."""
    return base64.b64encode(content).decode()


def _pixels(seen: Arrived) -> tuple[int, int]:
    width, height = seen.pixels or _SIZE
    return min(width, media_files.LARGEST), min(height, media_files.LARGEST)


def _named_size() -> tuple[tuple[str, int], tuple[str, int]]:
    return ("width", _SIZE[0]), ("height", _SIZE[1])
