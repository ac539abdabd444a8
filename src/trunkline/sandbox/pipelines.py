"""hf-inference's pipelines, and those of a dedicated endpoint: which task, and who answers it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trunkline.sandbox import media_tasks, text_tasks, tgi
from trunkline.sandbox.accounts import refusal
from trunkline.sandbox.arrivals import media_type
from trunkline.sandbox.asking import Ask, task_of, wrong
from trunkline.sandbox.completions import completions as completed
from trunkline.sandbox.models import MODELS, RENAMED
from trunkline.sandbox.reply import RefusedError, Reply, json_reply
from trunkline.sandbox.router import is_invented
from trunkline.sandbox.visit import Visit
from trunkline.types.tasks import TASKS

PROVIDER = "hf-inference"
_SENTENCES = ("feature-extraction", "sentence-similarity")
"""Models of either task answer for both."""

_PIPELINES: dict[str, Callable[[Ask], Any]] = {
    "audio-classification": media_tasks.audio_classification,
    "audio-to-audio": media_tasks.audio_to_audio,
    "automatic-speech-recognition": media_tasks.transcription,
    "conversational": tgi.pipeline,
    "document-question-answering": media_tasks.document_question_answering,
    "feature-extraction": text_tasks.feature_extraction,
    "fill-mask": text_tasks.fill_mask,
    "image-classification": media_tasks.image_classification,
    "image-segmentation": media_tasks.image_segmentation,
    "image-text-to-image": media_tasks.change_image,
    "image-text-to-video": media_tasks.animate_image,
    "image-to-image": media_tasks.change_image,
    "image-to-text": media_tasks.image_to_text,
    "image-to-video": media_tasks.animate_image,
    "object-detection": media_tasks.object_detection,
    "question-answering": text_tasks.question_answering,
    "sentence-similarity": text_tasks.sentence_similarity,
    "summarization": text_tasks.summarization,
    "table-question-answering": text_tasks.table_question_answering,
    "tabular-classification": text_tasks.tabular,
    "tabular-regression": text_tasks.tabular,
    "text-classification": text_tasks.text_classification,
    "text-generation": tgi.pipeline,
    "text-ranking": text_tasks.text_ranking,
    "text-to-audio": media_tasks.make_sound,
    "text-to-image": media_tasks.make_image,
    "text-to-speech": media_tasks.make_sound,
    "text-to-video": media_tasks.make_video,
    "token-classification": text_tasks.token_classification,
    "translation": text_tasks.translation,
    "visual-question-answering": media_tasks.visual_question_answering,
    "zero-shot-classification": text_tasks.zero_shot_classification,
    "zero-shot-image-classification": media_tasks.zero_shot_image_classification,
}


def pipeline(visit: Visit, parts: dict[str, str]) -> Reply:
    """Answer a task of a model that Hugging Face serves itself; no token is needed."""
    model = _admit(visit, parts)
    wanted = parts["task"]
    if wanted and wanted not in TASKS:
        raise RefusedError(404, {"error": f"Task {wanted} does not exist"})
    if wanted and is_invented(model, inside=visit.inside):
        return _run(visit, wanted, model)
    task = task_of(visit, PROVIDER, model, tuple(_PIPELINES))
    if wanted and wanted != task and not {wanted, task} <= set(_SENTENCES):
        raise RefusedError(400, {"error": f"Model {model} does not serve the task {wanted}"})
    return _run(visit, wanted or task, model)


def completions(visit: Visit, parts: dict[str, str]) -> Reply:
    """Continue a prompt with a model that Hugging Face serves itself, in OpenAI's form."""
    model = _admit(visit, parts)
    task_of(visit, PROVIDER, model, ("text-generation", "conversational"))
    return completed(visit, model)


def endpoint(visit: Visit, parts: dict[str, str]) -> Reply:
    """Answer at the address of a dedicated endpoint that serves one task."""
    if parts["task"] not in _PIPELINES:
        raise RefusedError(404, {"error": "Not Found"})
    return _run(visit, parts["task"], "endpoint")


def _admit(visit: Visit, parts: dict[str, str]) -> str:
    """Return the model's name of today; raises RefusedError for strangers and unknown models."""
    name = RENAMED.get(parts["model"], parts["model"])
    headers = visit.head.headers
    refused = None if visit.inside else refusal(headers, visit.orgs, anonymous=True)
    if refused:
        raise RefusedError.carrying(refused)
    if name not in MODELS and not is_invented(name, inside=visit.inside):
        raise RefusedError(404, {"error": f"Model {name} does not exist"})
    return name


def _run(visit: Visit, task: str | None, model: str) -> Reply:
    inputs, parameters = _read(visit)
    ask = Ask(visit, task or _guess(inputs, parameters, visit), model, inputs, parameters)
    answer = _PIPELINES[ask.task](ask)
    return answer if isinstance(answer, Reply) else json_reply(200, answer)


def _read(visit: Visit) -> tuple[Any, dict[str, Any]]:
    """Return inputs and parameters: from JSON, or a file's bytes without any."""
    if not visit.asked:
        if not visit.body or (visit.body[:1] in b"{[" and media_type(visit.body).startswith("app")):
            raise wrong("Error in `inputs`: field required")
        return visit.body, {}
    asked = visit.asked
    beside = {
        k: v for k, v in asked.items() if k not in ("inputs", "model", "options", "parameters")
    }
    parameters = asked.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise wrong("Error in `parameters`: value is not a valid dict")
    inputs = beside if "inputs" not in asked and "query" in asked else asked.get("inputs")
    return inputs, {**beside, **parameters}


_TELLING = {
    "context": "question-answering",
    "data": "tabular-classification",
    "source_sentence": "sentence-similarity",
    "table": "table-question-answering",
    "texts": "text-ranking",
    "question": "visual-question-answering",
    "image": "zero-shot-image-classification",
}
"""Fields of an input by which a task is known, the surest first."""


def _guess(inputs: Any, parameters: dict[str, Any], visit: Visit) -> str:
    """Return what a model that is none is asked, as far as the request tells."""
    if isinstance(inputs, dict):
        return next((task for name, task in _TELLING.items() if name in inputs), "text-generation")
    if isinstance(inputs, bytes):
        kind = media_type(inputs)
        sees = kind.startswith("image/")
        return "image-classification" if sees else "automatic-speech-recognition"
    if "candidate_labels" in parameters:
        return "zero-shot-classification"
    if "image/" in visit.head.headers.get("accept", ""):
        return "text-to-image"
    masked = isinstance(inputs, str) and ("[MASK]" in inputs or "<mask>" in inputs)
    return "fill-mask" if masked else "text-generation"
