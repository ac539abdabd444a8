"""Text Generation Inference's own form, which transformers pipelines share: `{"inputs", "parameters"}`.

`/generate` answers with an object, `/` and hf-inference's `models/...` with a list of one.
"""

from __future__ import annotations

from typing import Any

from trunkline.dialects.answer_parts import (
    MisfitError,
    an_object,
    misfit,
    optional_count,
    shown,
    text,
)
from trunkline.dialects.bodies import given, merged, renamed
from trunkline.dialects.shape import Body, Reading, Shape, Wish, json_body, unreadable
from trunkline.types.results import TextChoice, TextCompletion
from trunkline.types.usage import Usage

FINISHES = {"eos_token": "stop", "stop_sequence": "stop", "length": "length"}
"""TGI's finish reasons in OpenAI's words; one that is not here stays as it came."""

_NAMES = {"echo": "return_full_text", "max_tokens": "max_new_tokens", "stop_sequences": "stop"}


def write_prompt(wish: Wish, **also: Any) -> Body:
    """Write `{"inputs", "parameters"}`; no parameters, no key."""
    parameters = {**also, **renamed(given(wish.parameters), _NAMES)}
    body = {"inputs": wish.inputs, **({"parameters": parameters} if parameters else {})}
    return json_body(merged(body, wish.extra_body))


def write_generate(wish: Wish) -> Body:
    """Write a request that asks for details: only they tell the finish reason and the counts."""
    return write_prompt(wish, details=True)


def read_generated(reading: Reading, _wish: Wish) -> TextCompletion:
    """Read `generated_text` and, where they came, its details, which each choice's extras keep.

    The text is the server's: pipelines begin it with the prompt unless `return_full_text` is False.
    """
    answer = reading.json
    try:
        return parse_generated(answer, reading.headers)
    except MisfitError as error:
        raise unreadable(reading, str(error)) from error


def parse_generated(answer: Any, headers: dict[str, str]) -> TextCompletion:
    """Read a decoded answer, with the counts that TGI's headers tell; raises MisfitError."""
    choices = _choices(answer)
    usage = _usage([choice.extra.get("details") for choice in choices], headers)
    return TextCompletion(choices=choices, usage=usage)


def _choices(answer: Any) -> list[TextChoice]:
    """Read one text or several; a list within a list belongs to a prompt given as a list of one."""
    rows = answer if isinstance(answer, list) else [answer]
    if len(rows) == 1 and isinstance(rows[0], list):
        rows = rows[0]
    if not rows:
        raise misfit(answer, "an object with generated_text")
    return [_choice(row, place) for place, row in enumerate(rows)]


def _choice(answer: Any, place: int) -> TextChoice:
    row = an_object(answer, "an object with generated_text")
    if "generated_text" not in row:
        raise misfit(answer, "an object with generated_text")
    said = text(row, "generated_text")
    details = row.get("details")
    if details is not None and not isinstance(details, dict):
        raise MisfitError(f"details is {shown(details)}, not an object")
    told = (details or {}).get("finish_reason")
    finish = FINISHES.get(told, told) if isinstance(told, str) else None
    return TextChoice(text=said, index=place, finish_reason=finish, extra=row)


def _usage(details: list[Any], headers: dict[str, str]) -> Usage | None:
    """Return the counts that details or TGI's headers tell; None where neither does."""
    prompt = _header(headers, "x-prompt-tokens")
    if prompt is None:
        prompt = _prefill(details[0])
    made = [optional_count(dict(told), "generated_tokens") for told in details if told is not None]
    known = [count for count in made if count is not None]
    whole = len(known) == len(details)
    completion = sum(known) if whole else _header(headers, "x-generated-tokens")
    if prompt is None and completion is None:
        return None
    return Usage(prompt_tokens=prompt, completion_tokens=completion)


def _prefill(details: dict[str, Any] | None) -> int | None:
    """Count the prompt's tokens, which come with `decoder_input_details` only.

    An encoder-decoder model shows the token that its decoder starts with, not the prompt.
    """
    tokens = (details or {}).get("prefill")
    if not isinstance(tokens, list) or not tokens:
        return None
    first = tokens[0]
    starts = isinstance(first, dict) and first.get("text") == "<pad>"
    return None if starts else len(tokens)


def _header(headers: dict[str, str], name: str) -> int | None:
    told = headers.get(name, "")
    return int(told) if told.isascii() and told.isdigit() else None


GENERATE = Shape(write_generate, read_generated)
"""text-generation at TGI's `/generate`."""
PROMPT = Shape(write_prompt, read_generated)
"""text-generation by a transformers pipeline, which knows no details."""
