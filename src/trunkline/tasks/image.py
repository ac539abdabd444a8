"""The image tasks: what each function takes, and what it brings.

An image is anything that `trunkline.media` reads: a path, bytes, a file, a URL, a PIL image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Unpack

from trunkline.errors import InvalidInputError
from trunkline.routing.ask import Ask
from trunkline.tasks.arguments import blob, size, text, texts

if TYPE_CHECKING:
    from trunkline.calls import Calls
    from trunkline.types.parameters import TaskOptions
    from trunkline.types.results import (
        Answer,
        Detection,
        ImageResponse,
        Items,
        Label,
        Segment,
        TextOutput,
    )

Size = str | Sequence[int] | Mapping[str, int]
"""Pixels: "1024x768", (1024, 768) or {"width": 1024, "height": 768}."""


def image_generation(
    calls: Calls,
    model: str,
    prompt: str,
    *,
    n: int | None = None,
    size: Size | None = None,
    negative_prompt: str | None = None,
    num_inference_steps: int | None = None,
    guidance_scale: float | None = None,
    scheduler: str | None = None,
    seed: int | None = None,
    quality: str | None = None,
    style: str | None = None,
    response_format: Literal["url", "b64_json"] | None = None,
    user: str | None = None,
    **options: Unpack[TaskOptions],
) -> Ask[ImageResponse]:
    """Make images from a prompt: `response.image.save("cat.png")`, in OpenAI's shape.

    `response_format="url"` leaves files where the provider keeps them. Raises APIError.
    """
    parameters = {
        "n": n,
        **_pixels(size),
        "negative_prompt": negative_prompt,
        "num_inference_steps": num_inference_steps,
        "guidance_scale": guidance_scale,
        "scheduler": scheduler,
        "seed": seed,
        "quality": quality,
        "style": style,
        "user": user,
    }
    return calls.ask(
        "text-to-image",
        model,
        text(prompt, "prompt"),
        parameters,
        _by_url(options, response_format),
    )


def image_edit(
    calls: Calls,
    model: str,
    image: Any,
    prompt: str | None = None,
    *,
    negative_prompt: str | None = None,
    num_inference_steps: int | None = None,
    guidance_scale: float | None = None,
    target_size: Size | None = None,
    seed: int | None = None,
    response_format: Literal["url", "b64_json"] | None = None,
    **options: Unpack[TaskOptions],
) -> Ask[ImageResponse]:
    """Change an image as a prompt says (image-to-image); raises APIError."""
    parameters = {
        "prompt": prompt,
        "negative_prompt": negative_prompt,
        "num_inference_steps": num_inference_steps,
        "guidance_scale": guidance_scale,
        "target_size": _size(target_size),
        "seed": seed,
    }
    inputs = blob(image, "image", options)
    chosen = _by_url(options, response_format)
    return calls.ask("image-to-image", model, inputs, parameters, chosen)


def image_text_to_image(
    calls: Calls,
    model: str,
    prompt: str,
    image: Any = None,
    *,
    negative_prompt: str | None = None,
    num_inference_steps: int | None = None,
    guidance_scale: float | None = None,
    target_size: Size | None = None,
    seed: int | None = None,
    **options: Unpack[TaskOptions],
) -> Ask[ImageResponse]:
    """Make an image from a prompt and, where there is one, an image; raises APIError."""
    parameters = {
        "prompt": text(prompt, "prompt"),
        "negative_prompt": negative_prompt,
        "num_inference_steps": num_inference_steps,
        "guidance_scale": guidance_scale,
        "target_size": _size(target_size),
        "seed": seed,
    }
    inputs = None if image is None else blob(image, "image", options)
    return calls.ask("image-text-to-image", model, inputs, parameters, options)


def image_classification(
    calls: Calls,
    model: str,
    image: Any,
    *,
    function_to_apply: Literal["sigmoid", "softmax", "none"] | None = None,
    top_k: int | None = None,
    **options: Unpack[TaskOptions],
) -> Ask[Items[Label]]:
    """Say what an image shows: labels with scores, the best first; raises APIError."""
    parameters = {"function_to_apply": function_to_apply, "top_k": top_k}
    inputs = blob(image, "image", options)
    return calls.ask("image-classification", model, inputs, parameters, options)


def zero_shot_image_classification(
    calls: Calls,
    model: str,
    image: Any,
    candidate_labels: Sequence[str],
    *,
    hypothesis_template: str | None = None,
    **options: Unpack[TaskOptions],
) -> Ask[Items[Label]]:
    """Say which labels of your own fit an image, the best first; raises APIError."""
    parameters = {
        "candidate_labels": texts(candidate_labels, "candidate_labels"),
        "hypothesis_template": hypothesis_template,
    }
    inputs = {"image": blob(image, "image", options)}
    return calls.ask("zero-shot-image-classification", model, inputs, parameters, options)


def object_detection(
    calls: Calls,
    model: str,
    image: Any,
    *,
    threshold: float | None = None,
    **options: Unpack[TaskOptions],
) -> Ask[Items[Detection]]:
    """Find things in an image and the boxes around them; raises APIError."""
    inputs = blob(image, "image", options)
    return calls.ask("object-detection", model, inputs, {"threshold": threshold}, options)


def image_segmentation(
    calls: Calls,
    model: str,
    image: Any,
    *,
    mask_threshold: float | None = None,
    overlap_mask_area_threshold: float | None = None,
    subtask: Literal["instance", "panoptic", "semantic"] | None = None,
    threshold: float | None = None,
    **options: Unpack[TaskOptions],
) -> Ask[Items[Segment]]:
    """Cut an image into regions, each with a mask; raises APIError."""
    parameters = {
        "mask_threshold": mask_threshold,
        "overlap_mask_area_threshold": overlap_mask_area_threshold,
        "subtask": subtask,
        "threshold": threshold,
    }
    inputs = blob(image, "image", options)
    return calls.ask("image-segmentation", model, inputs, parameters, options)


def image_to_text(
    calls: Calls,
    model: str,
    image: Any,
    *,
    max_new_tokens: int | None = None,
    generate_parameters: Mapping[str, Any] | None = None,
    **options: Unpack[TaskOptions],
) -> Ask[TextOutput]:
    """Say in words what an image shows, or what is written on it; raises APIError."""
    parameters = {
        "max_new_tokens": max_new_tokens,
        "generate_parameters": generate_parameters,
    }
    inputs = blob(image, "document", options)
    return calls.ask("image-to-text", model, inputs, parameters, options)


def visual_question_answering(
    calls: Calls,
    model: str,
    image: Any,
    question: str,
    *,
    top_k: int | None = None,
    **options: Unpack[TaskOptions],
) -> Ask[Items[Answer]]:
    """Answer a question about an image; raises APIError."""
    inputs = {"image": blob(image, "image", options), "question": text(question, "question")}
    return calls.ask("visual-question-answering", model, inputs, {"top_k": top_k}, options)


def document_question_answering(
    calls: Calls,
    model: str,
    image: Any,
    question: str,
    *,
    doc_stride: int | None = None,
    handle_impossible_answer: bool | None = None,
    lang: str | None = None,
    max_answer_len: int | None = None,
    max_question_len: int | None = None,
    max_seq_len: int | None = None,
    top_k: int | None = None,
    word_boxes: Sequence[Any] | None = None,
    **options: Unpack[TaskOptions],
) -> Ask[Items[Answer]]:
    """Answer a question about a document's picture; raises APIError."""
    parameters = {
        "doc_stride": doc_stride,
        "handle_impossible_answer": handle_impossible_answer,
        "lang": lang,
        "max_answer_len": max_answer_len,
        "max_question_len": max_question_len,
        "max_seq_len": max_seq_len,
        "top_k": top_k,
        "word_boxes": word_boxes,
    }
    inputs = {"image": blob(image, "document", options), "question": text(question, "question")}
    return calls.ask("document-question-answering", model, inputs, parameters, options)


def _size(value: Size | None) -> dict[str, int] | None:
    return size(value, "target_size")


def _pixels(value: Size | None) -> dict[str, int]:
    return size(value, "size") or {}


def _by_url(options: TaskOptions, response_format: str | None) -> TaskOptions:
    """Return the options with OpenAI's way to ask for a URL as ours."""
    if response_format not in (None, "b64_json", "url"):
        raise InvalidInputError(
            f"response_format is {response_format!r:.80}; 'url' or 'b64_json' is expected."
        )
    return {"download": False, **options} if response_format == "url" else options
