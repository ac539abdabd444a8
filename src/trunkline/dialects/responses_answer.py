"""Answers of OpenAI's Responses API, as the one who answers writes them, whole. Pure.

The clients' types have no word for a count that nobody told: without both of a chat's counts `usage` is
null, and of its details those that were not told are 0.
"""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.dialects.think import ThinkSplitter
from trunkline.types import Completion, Usage

Body = dict[str, Any]
encode = msgspec.json.Encoder().encode
"""Writes what was read of JSON: it has no number that is none, so that nobody need look for one."""
COMPLETED, INCOMPLETE = "completed", "incomplete"
_CUT = {
    "abort": None,
    "content_filter": "content_filter",
    "error": None,
    "insufficient_system_resource": None,
    "length": "max_output_tokens",
    "model_length": "max_output_tokens",
    "network_error": None,
    "sensitive": "content_filter",
}
"""Reasons of a chat to end before its answer did, and what responses call them; None is no word of theirs."""


class Envelope(msgspec.Struct, frozen=True):
    """What all tellings of one response have in common."""

    mark: str
    """What its id and those of its items are made of."""
    created: int
    echo: Body
    """What it repeats of its request."""

    def response(self, status: str, output: list[Body], **more: Any) -> Body:
        """Return the response as it stands; `more` replaces what is null while it is in progress."""
        return {
            "id": f"resp_{self.mark}",
            "object": "response",
            "created_at": self.created,
            "status": status,
            "error": None,
            "incomplete_details": None,
            **self.echo,
            "output": output,
            "usage": None,
            **more,
        }

    def item_id(self, kind: str, index: int) -> str:
        """Return the id of an item by its kind and place."""
        return f"{_PREFIXES[kind]}_{self.mark}{index:x}"


_PREFIXES = {"message": "msg", "reasoning": "rs", "function_call": "fc"}


def cut_short(finish: str | None) -> Body | None:
    """Return why an answer is incomplete; None where it is not, or the API has no word for it."""
    reason = _CUT.get(finish or "")
    return None if reason is None else {"reason": reason}


def status_of(finish: str | None) -> str:
    """Return the status of a response whose chat ended so."""
    return INCOMPLETE if finish in _CUT else COMPLETED


def usage_body(usage: Usage | None) -> Body | None:
    """Write token counts; None where one of them is not known."""
    if usage is None or usage.prompt_tokens is None or usage.completion_tokens is None:
        return None
    read, made = usage.prompt_tokens, usage.completion_tokens
    before, after = usage.prompt_tokens_details or {}, usage.completion_tokens_details or {}
    return {
        "input_tokens": read,
        "input_tokens_details": {
            "cached_tokens": usage.cached_tokens or 0,
            "cache_write_tokens": _count(before.get("cache_write_tokens")),
        },
        "output_tokens": made,
        "output_tokens_details": {"reasoning_tokens": _count(after.get("reasoning_tokens"))},
        "total_tokens": read + made if usage.total_tokens is None else usage.total_tokens,
    }


def _count(value: Any) -> int:
    return value if type(value) is int and value >= 0 else 0


def text_part(text: str, logprobs: list[Any]) -> Body:
    """Write a part of text."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": logprobs}


def message_item(item_id: str, parts: list[Body], status: str) -> Body:
    """Write what the model says."""
    said = {"id": item_id, "type": "message", "role": "assistant"}
    return {**said, "status": status, "content": parts}


def reasoning_item(item_id: str, parts: list[Body], status: str) -> Body:
    """Write what the model thought, in its own words: a summary nobody made."""
    told = {"id": item_id, "type": "reasoning", "summary": [], "content": parts}
    return {**told, "encrypted_content": None, "status": status}


def call_item(item_id: str, call: str, name: str, arguments: str, status: str) -> Body:
    """Write a call of a function."""
    told = {"id": item_id, "type": "function_call", "call_id": call, "name": name}
    return {**told, "arguments": arguments, "status": status}


def read_logprobs(told: Any) -> list[Body]:
    """Return log-probabilities as responses have them, of a chat's choice."""
    content = told.get("content") if isinstance(told, dict) else None
    return [_token(row) for row in _rows(content)]


def _token(row: Body) -> Body:
    """Return one token; bytes that were not told are an empty list, as the clients' types want one."""
    others = row.get("top_logprobs")
    tops = [_bare(top) for top in _rows(others)]
    return {**_bare(row), "top_logprobs": tops}


def _rows(value: Any) -> list[Body]:
    """Return the objects of a list; servers say here what they like."""
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def _bare(row: Body) -> Body:
    told = {"token": row.get("token"), "logprob": row.get("logprob")}
    return {**told, "bytes": row.get("bytes") or []}


def answer_body(envelope: Envelope, completion: Completion) -> bytes:
    """Write a whole answer of a chat as a response."""
    choice = completion.choices[0]
    finish = choice.finish_reason
    status, tier = status_of(finish), completion.extra.get("service_tier")
    more: Body = {"service_tier": tier} if isinstance(tier, str) else {}
    response = envelope.response(
        status,
        _output(envelope, completion, status),
        incomplete_details=cut_short(finish),
        usage=usage_body(completion.usage),
        **more,
    )
    return encode(response)


def _output(envelope: Envelope, completion: Completion, status: str) -> list[Body]:
    choice = completion.choices[0]
    message = choice.message
    thought, text = message.reasoning, message.content or ""
    if not thought and text:
        thought, text = think_apart(text)
    items: list[Body] = []
    if thought:
        part = {"type": "reasoning_text", "text": thought}
        items.append(reasoning_item(envelope.item_id("reasoning", 0), [part], status))
    parts = [text_part(text, read_logprobs(choice.logprobs))] if text else []
    if message.refusal:
        parts.append({"type": "refusal", "refusal": message.refusal})
    if parts:
        items.append(message_item(envelope.item_id("message", len(items)), parts, status))
    for call in message.tool_calls or ():
        item_id, function = envelope.item_id("function_call", len(items)), call.function
        items.append(call_item(item_id, call.id, function.name, function.arguments, status))
    for item in items[:-1]:
        item["status"] = COMPLETED
    return items


def think_apart(text: str) -> tuple[str, str]:
    """Return what was thought (`<think>...</think>` at the start) and what was said."""
    splitter = ThinkSplitter()
    thought, said = splitter.feed(text)
    more = splitter.finish()
    return thought + more[0], said + more[1]
