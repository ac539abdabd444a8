"""Keywords of a chat, checked before anything is sent: names, kinds and finite numbers."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from typing import Any

from trunkline.errors import InvalidInputError, UnknownParameterError
from trunkline.types import Timeouts
from trunkline.types.parameters import CallOptions, ChatParameters, OpenAIParameters, TaskOptions
from trunkline.wire.http1 import check_header

BODY_NAMES = frozenset(OpenAIParameters.__annotations__)
OPTION_NAMES = frozenset(CallOptions.__annotations__)
ALL_NAMES = frozenset(ChatParameters.__annotations__)

TASK_OPTION_NAMES = frozenset(TaskOptions.__annotations__)

_KINDS: dict[str, tuple[type, ...]] = {
    "a number": (int, float),
    "an integer": (int,),
    "true or false": (bool,),
    "a mapping": (Mapping,),
    "a string": (str,),
}
_KIND_OF: dict[str, str] = {
    **dict.fromkeys(
        ("frequency_penalty", "presence_penalty", "temperature", "top_p", "deadline"), "a number"
    ),
    **dict.fromkeys(
        (
            "max_bytes",
            "max_completion_tokens",
            "max_tokens",
            "n",
            "seed",
            "top_logprobs",
            "max_retries",
        ),
        "an integer",
    ),
    **dict.fromkeys(
        (
            "direct",
            "download",
            "drop_params",
            "logprobs",
            "parallel_tool_calls",
            "store",
            "think_tags",
        ),
        "true or false",
    ),
    **dict.fromkeys(
        (
            "audio",
            "extra_body",
            "extra_headers",
            "logit_bias",
            "metadata",
            "prediction",
            "response_format",
            "stream_options",
        ),
        "a mapping",
    ),
    **dict.fromkeys(
        ("api_base", "bill_to", "reasoning_effort", "service_tier", "session_id", "user"),
        "a string",
    ),
}
_AT_LEAST = {
    "max_tokens": 1,
    "max_completion_tokens": 1,
    "max_bytes": 1,
    "n": 1,
    "top_logprobs": 0,
    "max_retries": 0,
    "temperature": 0,
    "top_p": 0,
}
_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection"})


def check_parameters(
    given: Mapping[str, Any],
    known: frozenset[str] = ALL_NAMES,
    elsewhere: frozenset[str] = frozenset(),
) -> None:
    """Raise UnknownParameterError or InvalidInputError for what cannot be meant.

    `elsewhere` are names that are taken apart from `given`, and may have been meant.
    """
    for name, value in given.items():
        if name not in known:
            raise unknown_parameter(name, known | elsewhere)
        if value is not None and name in _KIND_OF:
            check_kind(name, value, _KIND_OF[name], _AT_LEAST.get(name))


def check_kinds(given: Mapping[str, Any]) -> None:
    """Raise InvalidInputError for known parameters whose value cannot be meant."""
    for name, value in given.items():
        if value is not None and name in _KIND_OF:
            check_kind(name, value, _KIND_OF[name], _AT_LEAST.get(name))


def unknown_parameter(name: str, known: Iterable[str]) -> UnknownParameterError:
    """Return the error for a keyword that nothing here has, with the nearest that exists."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    meant = f" Did you mean {near[0]!r}?" if near else ""
    return UnknownParameterError(
        f"There is no parameter {name!r}.{meant}",
        hint=f"If the provider takes it, send it as extra_body={{{name!r}: ...}}.",
    )


def timeouts_from(value: float | Timeouts | None, default: Timeouts) -> Timeouts:
    """Return each stage's limits; a number is the limit of a whole attempt, in seconds."""
    if value is None:
        return default
    if isinstance(value, Timeouts):
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise InvalidInputError(
            f"timeout is {value!r}; seconds above 0, or Timeouts, are expected."
        )
    return Timeouts(
        connect=min(default.connect, value),
        total=value,
        idle=min(default.idle, value),
        quiet=default.quiet,
        stream=default.stream,
    )


def headers_from(given: Mapping[str, str] | None) -> dict[str, str]:
    """Return extra headers under lower-case names; raises InvalidInputError for unsafe ones."""
    headers: dict[str, str] = {}
    for name, value in (given or {}).items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise InvalidInputError(f"extra_headers: {name!r} is no text, or its value is not.")
        check_header(name, value)
        if name.lower() in _OURS:
            raise InvalidInputError(f"extra_headers: {name!r} is set by the connection itself.")
        headers[name.lower()] = value
    return headers


def check_kind(name: str, value: Any, kind: str, least: float | None = None) -> None:
    """Raise InvalidInputError for a value of another kind, not finite, or less than `least`."""
    if isinstance(value, bool) is not (kind == "true or false") or not isinstance(
        value, _KINDS[kind]
    ):
        raise InvalidInputError(f"{name} is {value!r:.80}; {kind} is expected.")
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidInputError(f"{name} is {value}; a finite number is expected.")
    if least is not None and isinstance(value, (int, float)) and value < least:
        raise InvalidInputError(f"{name} is {value}; at least {least} is expected.")
