"""OpenAI's `/v1/completions`: a prompt and what continues it."""

from __future__ import annotations

from typing import Any

from trunkline.dialects.answer_parts import MisfitError, an_object, misfit, reads, shown
from trunkline.dialects.bodies import given, merged, renamed
from trunkline.dialects.openai_read import read_usage
from trunkline.dialects.shape import Body, Shape, Wish, json_body
from trunkline.dialects.tgi import parse_generated
from trunkline.types.results import TextChoice, TextCompletion

_NAMES = {"max_new_tokens": "max_tokens", "stop_sequences": "stop"}
"""Hugging Face's names that OpenAI has others for; the rest goes as it is."""


def write_completion(wish: Wish) -> Body:
    """Write `{"model", "prompt", ...}`, the model first, so that a proxy finds it at once."""
    parameters = renamed(given(wish.parameters), _NAMES)
    body = {"model": wish.model, "prompt": wish.inputs, **parameters}
    return json_body(merged(body, wish.extra_body))


def parse_completion(answer: Any, _wish: Wish) -> TextCompletion:
    """Read `choices[].text`. Finish reasons, ids and counts are the server's own, or None.

    `[{"generated_text"}]`, TGI's form, is read too, as Hugging Face's clients do at this route.
    """
    first = answer[0] if isinstance(answer, list) and answer else answer
    if isinstance(first, dict) and "generated_text" in first:
        return parse_generated(answer, {})
    body = an_object(answer, "a completion with choices")
    choices = body.pop("choices", None)
    if not isinstance(choices, list) or not choices:
        raise misfit(answer, "a completion with choices")
    return TextCompletion(
        choices=[_choice(choice, place) for place, choice in enumerate(choices)],
        id=_taken(body, "id", str),
        model=_taken(body, "model", str),
        created=_taken(body, "created", int),
        usage=read_usage(body.pop("usage", None)),
        object=_taken(body, "object", str) or "text_completion",
        extra=body,
    )


def _choice(answer: Any, place: int) -> TextChoice:
    row = an_object(answer, "a choice with text")
    said = row.pop("text", None)
    if not isinstance(said, str):
        what = "a chat's message" if "message" in row else f"{shown(said)} for a text"
        raise MisfitError(f"choice {place} has {what}")
    index = _taken(row, "index", int)
    return TextChoice(
        text=said,
        index=place if index is None else index,
        finish_reason=_taken(row, "finish_reason", str),
        logprobs=row.pop("logprobs", None),
        extra=row,
    )


def _taken(row: dict[str, Any], name: str, kind: type) -> Any:
    """Take a value out of `row` if it is of the kind expected; any other stays in the extras."""
    return row.pop(name) if type(row.get(name)) is kind else None


COMPLETIONS = Shape(write_completion, reads(parse_completion))
"""text-generation. `inputs` is the prompt, `parameters` have Hugging Face's names or OpenAI's."""
