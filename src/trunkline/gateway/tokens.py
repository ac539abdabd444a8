"""Token counts as upstreams tell them, and what a whole answer says of itself. Pure."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

import msgspec

from trunkline.dialects import failures
from trunkline.wire import strict_json

_MOST_TOKENS = 1 << 40
"""A count above this is no count."""
_NO_RAW = msgspec.Raw()
_SHORT = 16
"""Bytes of a list that may have nothing in it."""


class Tokens(msgspec.Struct, gc=False):
    """Token counts as the upstream told them; what is no count is None."""

    input: int | None = None
    output: int | None = None
    cached: int | None = None

    @property
    def told(self) -> bool:
        """Whether anything was counted."""
        return self.input is not None or self.output is not None


_Count = Annotated[int, msgspec.Meta(ge=0, lt=_MOST_TOKENS)]


class _Details(msgspec.Struct, gc=False):
    cached_tokens: _Count | None = None


class UsageFrame(msgspec.Struct, gc=False):
    """Usage as chats tell it, where every count is one."""

    prompt_tokens: _Count | None = None
    completion_tokens: _Count | None = None
    prompt_tokens_details: _Details | None = None
    cached_tokens: _Count | None = None

    def tokens(self) -> Tokens:
        """Return the counts."""
        details = self.prompt_tokens_details
        cached = self.cached_tokens if details is None else details.cached_tokens
        return Tokens(self.prompt_tokens, self.completion_tokens, cached)


class _Function(msgspec.Struct, gc=False):
    arguments: str | None = None


class _Call(msgspec.Struct, gc=False):
    function: _Function | None = None


class _Message(msgspec.Struct, gc=False):
    tool_calls: list[_Call] | None = None


class _Choice(msgspec.Struct, gc=False):
    message: _Message | None = None
    text: str | None = None


class _Whole(msgspec.Struct, gc=False):
    usage: UsageFrame | None = None
    error: Any = None
    choices: list[_Choice] | None = None
    data: msgspec.Raw = _NO_RAW


_decode_whole = msgspec.json.Decoder(_Whole).decode


Read: TypeAlias = tuple[Tokens, bool]
"""What a whole answer tells of tokens; and whether clients may fail on its form."""


def read_whole(data: bytes) -> Tokens | None:
    """Read an answer that was not streamed; None where it is no answer: no JSON, or an error."""
    read = read_answer(data)
    return None if read is None else read[0]


def read_answer(data: bytes) -> Read | None:
    """Do the same, and tell whether its form is one that every client reads."""
    try:
        whole = _decode_whole(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _read_loosely(data)
    choices = whole.choices
    if whole.error is not None or (not choices and len(whole.data) < _SHORT):
        return _read_loosely(data)
    odd = not data.isascii() and not is_text(data)
    for choice in choices or ():
        odd = odd or (choice.message is None and choice.text is None)
    return (Tokens() if whole.usage is None else whole.usage.tokens()), odd


def is_text(data: bytes) -> bool:
    """Tell whether bytes are UTF-8, as JSON has to be."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _read_loosely(data: bytes) -> Read | None:
    """Read an answer of which some field is not what it mostly is, or whose text is damaged."""
    try:
        body = strict_json.decode_sent(data)
    except strict_json.JsonError:
        return None
    if not isinstance(body, dict) or failures.failure_in_body(body) is not None:
        return None
    choices = body.get("choices")
    if not (isinstance(choices, list) and choices) and not isinstance(body.get("data"), list):
        return None
    return read_usage(body.get("usage")), True


def read_usage(usage: Any) -> Tokens:
    """Read token counts, of chats and of embeddings; what is no count is None."""
    if not isinstance(usage, dict):
        return Tokens()
    details = usage.get("prompt_tokens_details")
    aside = details if isinstance(details, dict) else usage
    cached = aside.get("cached_tokens")
    told = (usage.get("prompt_tokens"), usage.get("completion_tokens"), cached)
    return Tokens(*[as_count(count) for count in told])


def read_task_usage(usage: Any) -> Tokens:
    """Read token counts of other tasks: OpenAI's newer names, older ones, or a sum alone."""
    if not isinstance(usage, dict):
        return Tokens()
    told = {name: as_count(value) for name, value in usage.items()}
    first = [told.get(name) for name in ("input_tokens", "prompt_tokens")]
    last = [told.get(name) for name in ("output_tokens", "completion_tokens")]
    read = next((count for count in first if count is not None), None)
    made = next((count for count in last if count is not None), None)
    if read is None and made is None:
        read = told.get("total_tokens")
    return Tokens(read, made)


def as_count(value: Any) -> int | None:
    """Return a count of tokens; None for what is none."""
    if type(value) is int and 0 <= value < _MOST_TOKENS:
        return value
    if isinstance(value, float) and value.is_integer():
        return as_count(int(value))
    return None
