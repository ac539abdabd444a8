"""The tasks other than chat, as a table, and a call of one as a value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec

from trunkline.model_id import ModelId
from trunkline.types.chat import Timeouts
from trunkline.types.job import JobProgress

MAX_FILE = 512 * 1024 * 1024
"""Bytes that a result file, or an input that is fetched, may have unless a call says otherwise."""


class Task(msgspec.Struct, frozen=True):
    """One task."""

    name: str
    """The Hub's name for it."""
    function: str
    """Ours."""


_ROWS = (
    Task("audio-classification", "audio_classification"),
    Task("audio-to-audio", "audio_to_audio"),
    Task("automatic-speech-recognition", "transcription"),
    Task("conversational", "completion"),
    Task("document-question-answering", "document_question_answering"),
    Task("feature-extraction", "embedding"),
    Task("fill-mask", "fill_mask"),
    Task("image-classification", "image_classification"),
    Task("image-segmentation", "image_segmentation"),
    Task("image-text-to-image", "image_text_to_image"),
    Task("image-text-to-video", "image_text_to_video"),
    Task("image-to-image", "image_edit"),
    Task("image-to-text", "image_to_text"),
    Task("image-to-video", "image_to_video"),
    Task("object-detection", "object_detection"),
    Task("question-answering", "question_answering"),
    Task("sentence-similarity", "sentence_similarity"),
    Task("summarization", "summarization"),
    Task("table-question-answering", "table_question_answering"),
    Task("tabular-classification", "tabular_classification"),
    Task("tabular-regression", "tabular_regression"),
    Task("text-classification", "text_classification"),
    Task("text-generation", "text_completion"),
    Task("text-ranking", "rerank"),
    Task("text-to-audio", "text_to_audio"),
    Task("text-to-image", "image_generation"),
    Task("text-to-speech", "speech"),
    Task("text-to-video", "text_to_video"),
    Task("token-classification", "token_classification"),
    Task("translation", "translation"),
    Task("visual-question-answering", "visual_question_answering"),
    Task("zero-shot-classification", "zero_shot_classification"),
    Task("zero-shot-image-classification", "zero_shot_image_classification"),
)

TASKS: dict[str, Task] = {row.name: row for row in _ROWS}

FUNCTIONS: dict[str, str] = {
    **{row.name: row.function for row in _ROWS},
    "sparse-embedding": "sparse_embedding",
}
"""Our function for each task; the last is no task of the Hub's, but a route of TEI's."""


class TaskCall(msgspec.Struct, frozen=True):
    """A call of a task: checked, and ready to be written in any dialect.

    `inputs` has the form that Hugging Face gives the task's input, with a Blob for each file:
    a text, a list of texts, a Blob, or a dict of them (`{"question": ..., "image": Blob}`).
    """

    task: str
    model: ModelId
    inputs: Any
    parameters: dict[str, Any] = {}
    """Under Hugging Face's names, only those that were given."""
    extra_body: dict[str, Any] = {}
    extra_headers: dict[str, str] = {}
    timeouts: Timeouts = Timeouts()
    deadline: float | None = None
    """Seconds for the whole call, with retries, polls and files; None is no limit of its own."""
    max_retries: int = 2
    drop_params: bool = False
    """Leave out what the provider does not take, instead of refusing the call."""
    download: bool = True
    """Fetch the files that a result names."""
    max_bytes: int = MAX_FILE
    """The most that one file may have."""
    on_progress: Callable[[JobProgress], object] | None = None
    """Told how a job goes, at each poll. What it raises ends the call and cancels the job."""
    wait: bool = True
    """Follow a job to its end; otherwise the call ends when the job was accepted."""
    strict: bool = False
    """Refuse what the provider's form has no word for, though it would only be passed over."""
    inputs_from: Literal["anywhere", "public", "nowhere"] = "anywhere"
    """From where inputs may be fetched that were given by URL: somebody else may have written it."""
