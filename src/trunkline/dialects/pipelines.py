"""The pipeline dialect: hf-inference's, and that of inference toolkits on dedicated endpoints.

A request is `{"inputs", "parameters"}`, or a file's bytes. What comes back differs by task.
"""

from __future__ import annotations

from trunkline.dialects.answer_parts import Parse, reads
from trunkline.dialects.bodies import as_json, given, merged
from trunkline.dialects.pipeline_media import (
    parse_detections,
    parse_segments,
    read_images,
    read_sound,
    read_sounds,
)
from trunkline.dialects.pipeline_text import (
    parse_answers,
    parse_entities,
    parse_fillings,
    parse_labels,
    parse_numbers,
    parse_table_answers,
    parse_text,
    parse_values,
    parse_zero_shot,
)
from trunkline.dialects.pipeline_vectors import (
    check_vectors,
    parse_ranking,
    parse_similarities,
    parse_vectors,
)
from trunkline.dialects.shape import Body, Shape, Wish, json_body
from trunkline.dialects.tgi import PROMPT
from trunkline.dialects.transcripts import parse_transcription
from trunkline.types.media import Blob

_ANY = "*/*"
"""Toolkits refuse an Accept that names sounds; asked for anything they answer as they can."""


def write_inputs(wish: Wish, accept: str | None = None) -> Body:
    """Write `{"inputs", "parameters"}`, files in base64; no parameters, no key."""
    parameters = as_json(given(wish.parameters))
    body = {"inputs": as_json(wish.inputs), **({"parameters": parameters} if parameters else {})}
    return json_body(merged(body, wish.extra_body), accept=accept)


def write_file(wish: Wish, accept: str | None = None) -> Body:
    """Write a file's bytes as they are, or JSON where there is more to say."""
    if given(wish.parameters) or wish.extra_body or not isinstance(wish.inputs, Blob):
        return write_inputs(wish, accept)
    return Body(wish.inputs.content, wish.inputs.media_type, accept or "application/json")


def write_for_image(wish: Wish) -> Body:
    """Write a request whose answer is an image; one to be changed goes as a file."""
    return write_file(wish, "image/png")


def write_for_sound(wish: Wish) -> Body:
    """Write a request whose answer is a sound."""
    return write_inputs(wish, _ANY)


def write_texts(wish: Wish) -> Body:
    """Write texts to embed, the parameters beside them; `pooling` is done here and not sent."""
    check_vectors(wish.parameters)
    body = {"inputs": wish.inputs, **given(wish.parameters, "pooling", "sparse")}
    return json_body(merged(body, wish.extra_body))


def write_ranking(wish: Wish) -> Body:
    """Write `{"inputs": {"query", "texts"}}`; `top_n` and `return_documents` are done here."""
    parameters = given(wish.parameters, "top_n", "return_documents")
    body = {"inputs": wish.inputs, **({"parameters": parameters} if parameters else {})}
    return json_body(merged(body, wish.extra_body))


def _json(parse: Parse) -> Shape:
    return Shape(write_inputs, reads(parse))


def _file(parse: Parse) -> Shape:
    return Shape(write_file, reads(parse))


PIPELINES: dict[str, Shape] = {
    "audio-classification": _file(parse_labels),
    "audio-to-audio": Shape(write_file, read_sounds),
    "automatic-speech-recognition": _file(parse_transcription),
    "document-question-answering": _file(parse_answers),
    "feature-extraction": Shape(write_texts, reads(parse_vectors)),
    "fill-mask": _json(parse_fillings),
    "image-classification": _file(parse_labels),
    "image-segmentation": _json(parse_segments),
    "image-to-image": Shape(write_for_image, read_images),
    "image-to-text": _file(parse_text),
    "object-detection": _file(parse_detections),
    "question-answering": _json(parse_answers),
    "sentence-similarity": _json(parse_similarities),
    "summarization": _json(parse_text),
    "table-question-answering": _json(parse_table_answers),
    "tabular-classification": _json(parse_values),
    "tabular-regression": _json(parse_numbers),
    "text-classification": _json(parse_labels),
    "text-generation": PROMPT,
    "text-ranking": Shape(write_ranking, reads(parse_ranking)),
    "text-to-audio": Shape(write_for_sound, read_sound),
    "text-to-image": Shape(write_for_image, read_images),
    "text-to-speech": Shape(write_for_sound, read_sound),
    "token-classification": _json(parse_entities),
    "translation": _json(parse_text),
    "visual-question-answering": _file(parse_answers),
    "zero-shot-classification": _json(parse_zero_shot),
    "zero-shot-image-classification": _file(parse_labels),
}
"""The shape of each task, by the Hub's names."""
