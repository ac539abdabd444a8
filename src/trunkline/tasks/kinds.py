"""What kind of value each parameter of a task takes, checked before anything is sent.

A chat's parameters are another table: some names are shared that do not mean the same.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from trunkline.errors import InvalidInputError
from trunkline.parameters import check_kind

_KINDS: dict[str, tuple[str, ...]] = {
    "a number": (
        "frequency_penalty",
        "guidance_scale",
        "mask_threshold",
        "num_frames",
        "overlap_mask_area_threshold",
        "presence_penalty",
        "repetition_penalty",
        "speed",
        "temperature",
        "threshold",
        "top_p",
    ),
    "an integer": (
        "dimensions",
        "doc_stride",
        "logprobs",
        "max_answer_len",
        "max_new_tokens",
        "max_question_len",
        "max_seq_len",
        "n",
        "num_inference_steps",
        "seed",
        "stride",
        "top_k",
        "top_n",
    ),
    "true or false": (
        "align_to_words",
        "clean_up_tokenization_spaces",
        "echo",
        "handle_impossible_answer",
        "multi_label",
        "normalize",
        "return_documents",
        "sequential",
        "truncate",
    ),
    "a mapping": ("generate_parameters", "generation_parameters"),
    "a string": (
        "aggregation_strategy",
        "encoding_format",
        "function_to_apply",
        "hypothesis_template",
        "instructions",
        "lang",
        "language",
        "negative_prompt",
        "padding",
        "pooling",
        "prompt",
        "prompt_name",
        "quality",
        "response_format",
        "scheduler",
        "src_lang",
        "style",
        "subtask",
        "suffix",
        "tgt_lang",
        "truncation_direction",
        "user",
        "voice",
    ),
}
KIND_OF = {name: kind for kind, names in _KINDS.items() for name in names}
_LEAST = {
    **dict.fromkeys(
        ("dimensions", "max_new_tokens", "n", "num_frames", "num_inference_steps", "top_n"), 1
    ),
    **dict.fromkeys(("logprobs", "speed", "temperature", "top_p"), 0),
}
_ALSO = {"text-to-image": ("response_format", "size"), "image-to-image": ("response_format",)}
"""Keywords of functions that become other parameters, or none."""
_ENGINES = ("openai", "tei", "tgi", "pipeline")


def names_of(task: str, parameters: Mapping[str, Any]) -> frozenset[str]:
    """Return the keywords that a task's function has besides every call's."""
    return frozenset(_shown(task, name) for name in parameters).union(_ALSO.get(task, ()))


def _shown(task: str, name: str) -> str:
    return "max_tokens" if (task, name) == ("text-generation", "max_new_tokens") else name


def check_task(task: str, parameters: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    """Raise InvalidInputError for a parameter or option of a task whose value cannot be meant."""
    for name, value in parameters.items():
        if value is not None and name in KIND_OF:
            check_kind(_shown(task, name), value, KIND_OF[name], _LEAST.get(name))
    engine, tell = options.get("engine"), options.get("on_progress")
    if engine is not None and engine not in _ENGINES:
        raise InvalidInputError(
            f"engine is {engine!r:.80}; one of {', '.join(_ENGINES)} is expected.",
            hint="A server of another kind that speaks OpenAI's form is engine='openai'.",
        )
    if tell is not None and not callable(tell):
        raise InvalidInputError(f"on_progress is {tell!r:.80}; a function is expected.")
    if inspect.iscoroutinefunction(tell):
        raise InvalidInputError(
            "on_progress is an async function, and nobody would await it.",
            hint="Give a plain function; it may start a task.",
        )
