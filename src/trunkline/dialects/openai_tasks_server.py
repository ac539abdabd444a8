"""OpenAI's embeddings and text completions, as the one who answers: bytes in, a request out; answers back.

It opens nothing and knows no provider; chats have `openai_server`.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from trunkline.dialects.fields import is_number
from trunkline.dialects.openai_rules import (
    FLAG,
    OBJECT,
    STOP,
    TEXT,
    RequestError,
    Rule,
    check_stream_options,
    count,
    number,
    of,
    parted,
    read_object,
    take_model,
    take_stream,
)
from trunkline.dialects.openai_tasks_write import (
    DONE_EVENT,
    completion_text_body,
    embeddings_body,
    text_chunk_event,
    text_usage_event,
)

__all__ = [
    "DONE_EVENT",
    "CompletionsRequest",
    "EmbeddingsRequest",
    "RequestError",
    "completion_text_body",
    "embeddings_body",
    "read_completions",
    "read_embeddings",
    "text_chunk_event",
    "text_usage_event",
]


class EmbeddingsRequest(msgspec.Struct, frozen=True):
    """A request for vectors; its model is named as the client named it."""

    model: str
    input: str | list[str]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = None
    user: str | None = None
    extra: dict[str, Any] = {}
    """Fields that OpenAI does not have."""


class CompletionsRequest(msgspec.Struct, frozen=True):
    """A request to continue a text; its model is named as the client named it."""

    model: str
    prompt: str
    stream: bool = False
    stream_options: dict[str, Any] = {}
    parameters: dict[str, Any] = {}
    """Those that `text_completion` takes."""
    extra: dict[str, Any] = {}
    """All other fields, OpenAI's own among them, as they belong into `extra_body`."""

    @property
    def wants_usage(self) -> bool:
        """Whether the client asked for a last event with token counts."""
        return bool(self.stream_options.get("include_usage"))


def read_embeddings(data: bytes) -> EmbeddingsRequest:
    """Read a request's body; raises RequestError, naming the parameter, where it is none."""
    body = read_object(data)
    model = take_model(body)
    texts = _input(body.pop("input", None))
    known, unknown = parted(body, _EMBEDDINGS)
    return EmbeddingsRequest(model, texts, **known, extra=unknown)


def read_completions(data: bytes) -> CompletionsRequest:
    """Read a request's body; raises RequestError, naming the parameter, where it is none."""
    body = read_object(data)
    model = take_model(body)
    prompt = _prompt(body.pop("prompt", None))
    stream = take_stream(body)
    known, unknown = parted(body, _CHECKED)
    check_stream_options(known, stream=stream)
    options = known.pop("stream_options", {})
    parameters = {name: value for name, value in known.items() if name in _PARAMETERS}
    others = {name: value for name, value in known.items() if name not in _PARAMETERS}
    return CompletionsRequest(model, prompt, stream, options, parameters, {**others, **unknown})


def _input(value: Any) -> str | list[str]:
    _refuse_tokens(value, "input")
    if isinstance(value, list) and value:
        for place, item in enumerate(value):
            if not isinstance(item, str) or not item:
                at = f"input[{place}]"
                raise RequestError(f"'{at}' must be text that is not empty.", param=at)
        return value
    if not isinstance(value, str) or not value:
        raise RequestError(
            "'input' must be text, or a list of texts, that is not empty.", param="input"
        )
    return value


def _prompt(value: Any) -> str:
    _refuse_tokens(value, "prompt")
    texts: list[Any] = value if isinstance(value, list) else [value]
    if not texts or not all(isinstance(one, str) for one in texts):
        raise RequestError("'prompt' must be text.", param="prompt")
    if len(texts) > 1:
        raise RequestError(
            f"'prompt' has {len(texts)} texts, and an answer continues one: send a request for each.",
            param="prompt",
        )
    prompt: str = texts[0]
    return prompt


def _refuse_tokens(value: Any, param: str) -> None:
    if isinstance(value, list) and _is_tokens(value):
        raise RequestError(
            f"'{param}' has tokens, which providers do not take: send the text.", param=param
        )


def _is_tokens(value: Any) -> bool:
    """Tell whether a value is a token, a list of tokens, or a list of such lists."""
    if isinstance(value, list):
        return bool(value) and all(map(_is_tokens, value))
    return type(value) is int


_EMBEDDINGS: dict[str, Rule] = {
    "dimensions": count(1),
    "encoding_format": (lambda v: v in ("float", "base64"), "'float' or 'base64'"),
    "user": TEXT,
}

_NUMBER: Rule = (is_number, "a number")

_PARAMETERS: dict[str, Rule] = {
    "echo": FLAG,
    "frequency_penalty": number(-2, 2),
    "logprobs": count(0),
    "max_tokens": count(0),
    "n": count(1, 128),
    "presence_penalty": number(-2, 2),
    "repetition_penalty": _NUMBER,
    "seed": of(int, "a whole number"),
    "stop": STOP,
    "suffix": TEXT,
    "temperature": number(0, 2),
    "top_k": _NUMBER,
    "top_p": number(0, 1),
}
"""What `text_completion` takes, each with its rule: OpenAI's names, and two that servers add."""

_CHECKED: dict[str, Rule] = {
    **_PARAMETERS,
    "best_of": count(1, 20),
    "logit_bias": OBJECT,
    "stream_options": OBJECT,
    "user": TEXT,
}
