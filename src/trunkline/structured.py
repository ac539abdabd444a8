"""Typed answers: a type as the schema that a model writes to, and what it wrote as that type.

Every field is required of the model, also one with a default: OpenAI's strict mode demands it and
several providers enforce it. A field that may be absent in the answer is typed `T | None`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Generator, Mapping
from typing import Any, TypeVar

import msgspec

from trunkline.dialects.messages import prepare_messages
from trunkline.dialects.think import split_think
from trunkline.errors import InvalidInputError, OutputValidationError
from trunkline.typed_json import (
    MisfitError,
    Schema,
    UnsupportedTypeError,
    reader,
    rebuilt,
    schemas_of,
)
from trunkline.types import Completion, Messages

T = TypeVar("T")

WRAPPED = "value"
"""The key under which an answer stands that is no object itself, such as a list."""


class _Form(msgspec.Struct, frozen=True):
    """All that is derived from one type."""

    name: str
    format: bytes
    """The `response_format`, as JSON."""
    read: Callable[[str], Any]


class Ask(msgspec.Struct, frozen=True):
    """A question to put to the model: its answer is what the generator waits for."""

    messages: list[dict[str, Any]]
    parameters: dict[str, Any]


def structured_chat(
    model_type: type[T],
    messages: Messages,
    parameters: Mapping[str, Any],
    repair_rounds: int = 0,
    deadline: float | None = None,
) -> Generator[Ask, Completion, T]:
    """Ask for a `model_type`, and again with what was wrong, at most `repair_rounds` times.

    All of it within `deadline` seconds: where none are left, an answer that did not fit is the last.

    A `response_format` among the parameters goes out as it is, for servers that want a schema in
    a form of their own. Refusals and answers that were cut are not repaired: asking again would
    not help. Raises OutputValidationError, and InvalidInputError for a type without JSON schema.
    """
    own = parameters.get("response_format")
    parameters = {**parameters, "response_format": own or response_format_for(model_type)}
    asked = prepare_messages(messages)
    while True:
        completion = yield Ask(asked, parameters)
        try:
            return parse_answer(model_type, completion)
        except OutputValidationError as error:
            if repair_rounds <= 0 or error.code in _FINAL:
                raise
            if deadline is not None:
                deadline -= completion.receipt.total_time if completion.receipt else 0.0
                if deadline <= 0:
                    raise
                parameters = {**parameters, "deadline": deadline}
            asked = repair_messages(asked, error)
            repair_rounds -= 1


def response_format_for(model_type: Any) -> dict[str, Any]:
    """Return OpenAI's `response_format` for a type: `{"type": "json_schema", "json_schema": ...}`.

    For msgspec Structs, dataclasses, TypedDicts and pydantic models, and for what can be built of
    them; what is no JSON object (a list, a Literal, an Enum) stands under the key `value`.
    `strict` is true unless the type leaves something open, as `dict[str, int]` does, which strict
    mode cannot say. Raises InvalidInputError for a type without JSON schema.
    """
    formatted: dict[str, Any] = msgspec.json.decode(_form(model_type).format)
    return formatted


def parse_answer(model_type: type[T], completion: Completion) -> T:
    """Return the first choice's content as a `model_type`.

    Text around the JSON (a fence, a remark) is left aside where exactly one JSON value in it fits.
    Raises OutputValidationError with the raw text; its `code` is `refusal`, `length`,
    `content_filter`, `empty`, `ambiguous` or `misfit`.
    """
    form = _form(model_type)
    text = _content(completion)
    if text is None or not text.strip():
        raise _no_answer(completion, form)
    whole = _unfenced(text)
    try:
        value: T = form.read(whole)
    except MisfitError as misfit:
        fits = _fitting(text, form)
        if len(fits) == 1:
            found: T = fits[0]
            return found
        raise _unfit(completion, form, text, misfit, len(fits)) from misfit
    return value


def repair_messages(messages: Messages, error: OutputValidationError) -> list[dict[str, Any]]:
    """Return the conversation with the answer that did not fit, and the request to correct it."""
    answer = [{"role": "assistant", "content": error.text}] if error.text.strip() else []
    request = (
        f"{error.message} Answer again with the corrected JSON only, without any text around it."
    )
    return [*prepare_messages(messages), *answer, {"role": "user", "content": request}]


def _form(model_type: Any) -> _Form:
    try:
        return _cached_form(model_type)
    except TypeError as error:
        if "unhashable" not in str(error):
            raise
        return _make_form(model_type)  # Annotated with something that no dict can hold as a key


def _make_form(model_type: Any) -> _Form:
    try:
        (schema,), definitions = schemas_of([model_type])
        read: Callable[[str], Any] = reader(model_type)
    except UnsupportedTypeError as error:
        raise InvalidInputError(
            f"{model_type!r} cannot be a response_model: {error}.",
            hint="Give a msgspec Struct, dataclass, TypedDict or pydantic model.",
        ) from error
    named = model_type.__name__ if isinstance(model_type, type) else "answer"
    name = re.sub(r"[^a-zA-Z0-9_-]", "_", named)[:64]
    if schema.get("$ref"):
        schema = {**definitions[schema["$ref"].rpartition("/")[2]], **schema}
        del schema["$ref"]
    if schema.get("type") != "object":
        schema = {"type": "object", "properties": {WRAPPED: schema}, "required": [WRAPPED]}
        read = _unwrapping(read, model_type)
    if definitions:
        schema["$defs"] = definitions
    strict = not _leaves_open(schema)
    asked = {"name": name, "schema": _closed(schema), "strict": strict}
    wire = msgspec.json.encode({"type": "json_schema", "json_schema": asked})
    return _Form(name, wire, read)


_cached_form = functools.lru_cache(maxsize=256)(_make_form)


def _unwrapping(read: Callable[[str], Any], model_type: Any) -> Callable[[str], Any]:
    """Return a reader for a wrapped value; one that the model gave bare is taken, too."""
    wrapper = msgspec.defstruct("Wrapped", [(WRAPPED, model_type)], forbid_unknown_fields=True)
    read_wrapped = reader(wrapper)

    def decode(text: str) -> Any:
        try:
            return getattr(read_wrapped(text), WRAPPED)
        except MisfitError as misfit:
            try:
                return read(text)
            except MisfitError as bare:
                raise (misfit if text.lstrip().startswith("{") else bare) from None

    return decode


def _closed(schema: Schema) -> Schema:
    """Return a schema as strict mode wants it: objects closed, every property required."""
    strict = rebuilt(schema, _closed)
    strict.pop("default", None)  # meaningless where everything is required, and refused by some
    if "oneOf" in strict:
        strict["anyOf"] = strict.pop("oneOf")
    if "properties" in strict:
        strict["required"] = list(strict["properties"])
        strict.setdefault("additionalProperties", False)
    return strict


def _leaves_open(schema: Schema) -> bool:
    """Tell whether a schema, or one within it, allows what it does not spell out."""
    if schema.get("type") == "object":
        is_open = (
            "properties" not in schema or schema.get("additionalProperties", False) is not False
        )
    elif schema.get("type") == "array":
        is_open = "items" not in schema and "prefixItems" not in schema
    else:
        is_open = not schema.keys() & {"type", "enum", "const", "anyOf", "oneOf", "allOf", "$ref"}
    found = [is_open]

    def look(inner: Schema) -> Schema:
        found.append(_leaves_open(inner))
        return inner

    rebuilt(schema, look)
    return any(found)


def _content(completion: Completion) -> str | None:
    if not completion.choices:
        return None
    message = completion.choices[0].message
    if message.refusal or message.content is None:
        return None
    is_json = message.content.lstrip().startswith(("{", "[", '"'))
    return message.content if is_json else split_think(message.content)[1]


def _unfenced(text: str) -> str:
    """Return what a code fence around the whole text holds, else the text."""
    text = text.strip()
    if text.startswith("```") and text.endswith("```"):
        language, _, inner = text[3:-3].partition("\n")
        if "```" not in inner and (not language.strip() or language.strip().isalpha()):
            return inner.strip()
    return text


_TRIES = 100


def _fitting(text: str, form: _Form) -> list[Any]:
    """Return every JSON object or array in `text` that fits, those within others left aside."""
    import json  # slow to load and rarely needed; msgspec cannot read a value's prefix

    decoder = json.JSONDecoder()
    fits: list[Any] = []
    place = 0
    for _ in range(_TRIES):  # a text full of brackets must not take for ever
        begin = _BRACKET.search(text, place)
        if begin is None:
            break
        try:
            _, place = decoder.raw_decode(text, begin.start())
            fits.append(form.read(text[begin.start() : place]))
        except MisfitError:
            continue
        except (ValueError, RecursionError):
            place = begin.end()
    return fits


_BRACKET = re.compile(r"[{\[]")

_FINAL = frozenset({"refusal", "length", "content_filter"})

_CUT = {
    "length": ("It was cut by max_tokens.", "Raise max_tokens."),
    "content_filter": ("The provider's content filter ended it.", "Change the prompt."),
}


def _unfit(
    completion: Completion, form: _Form, text: str, misfit: MisfitError, fits: int
) -> OutputValidationError:
    ended = completion.choices[0].finish_reason or ""
    cut, hint = _CUT.get(
        ended, ("", "error.text is what the model wrote; repair_rounds=1 asks again.")
    )
    why = f"{fits} different values in it fit" if fits else str(misfit)
    return _error(
        completion,
        f"The answer does not fit {form.name}: {why}. {cut}".rstrip(),
        text=text,
        hint=hint,
        code=ended if cut else "ambiguous" if fits else "misfit",
    )


def _no_answer(completion: Completion, form: _Form) -> OutputValidationError:
    """Return the error for an answer without text, saying what there is in its place."""
    choice = completion.choices[0] if completion.choices else None
    refusal = choice.message.refusal if choice else None
    ended = (choice.finish_reason if choice else None) or ""
    if refusal:
        return _error(
            completion,
            f"The model refused to answer with {form.name}: {refusal}",
            text=refusal,
            hint="Change the prompt, or ask another model.",
            code="refusal",
        )
    cut, hint = _CUT.get(ended, ("", "Ask again, or another model."))
    instead = "it called tools instead" if completion.tool_calls else "it is empty"
    if completion.reasoning:
        instead = "the model only reasoned"
    message = f"The answer has no {form.name}: {instead}. {cut}".rstrip()
    return _error(completion, message, text="", hint=hint, code=ended if cut else "empty")


def _error(completion: Completion, message: str, **facts: Any) -> OutputValidationError:
    receipt = completion.receipt
    return OutputValidationError(
        message,
        completion=completion,
        model=completion.model,
        provider=receipt.provider if receipt else None,
        request_id=receipt.request_id if receipt else None,
        attempts=receipt.attempts if receipt else (),
        **facts,
    )
