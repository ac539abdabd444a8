"""Attempts and receipts, written from what a driver reported."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from trunkline.errors import APIError
from trunkline.providers.spec import Target
from trunkline.routing.needs import Reply, Send
from trunkline.types import (
    Attempt,
    AttemptRole,
    Chat,
    Completion,
    Message,
    Receipt,
    TokenCount,
    Usage,
)
from trunkline.types.route import RouteReport
from trunkline.wire.message import ResponseHead

_BYTES_PER_TOKEN = 4
"""A rough rule for English text, used only where nobody counted."""


def attempt(
    number: int,
    send: Send,
    reply: Reply,
    error: APIError | None,
    began: float,
    *,
    role: AttemptRole | None = None,
) -> Attempt:
    """Return the record of one attempt; `began` is when the call did."""
    head = reply.head
    return Attempt(
        number=number,
        provider=served_by(send, head),
        model=send.target.model,
        url=str(send.request.url).partition("?")[0],
        status=head.status if head else None,
        error=type(error).__name__ if error else None,
        request_id=head.request_id if head else None,
        started=reply.started - began,
        seconds=reply.ended - reply.started,
        role=role or ("first" if number == 1 else "retry"),
    )


def served_by(send: Send, head: ResponseHead | None) -> str | None:
    """Return the provider that the answer names, else the one that was asked for."""
    told = head.headers.get("x-inference-provider") if head else None
    return told or send.target.provider


def receipt(  # noqa: PLR0913 - what a receipt is made of
    attempts: tuple[Attempt, ...],
    completion: Completion,
    chat: Chat,
    *,
    first_at: float | None,
    ended: float,
    began: float,
    route: RouteReport | None = None,
) -> Receipt:
    """Return the receipt of a call that `attempts` ended; the last one answered."""
    last = attempts[-1]
    return Receipt(
        provider=last.provider,
        model=completion.model,
        request_id=last.request_id,
        attempts=attempts,
        time_to_first_token=None if first_at is None else first_at - began,
        total_time=ended - began,
        tokens=count_tokens(completion.usage, completion, chat.messages),
        called=str(chat.model),
        route=route,
    )


def count_tokens(
    usage: Usage | None, completion: Completion, messages: list[dict[str, Any]]
) -> TokenCount:
    """Return the provider's counts; without them an estimate from the text, marked as one."""
    if usage and (usage.prompt_tokens is not None or usage.completion_tokens is not None):
        return TokenCount(usage.prompt_tokens, usage.completion_tokens, "provider")
    texts = [
        text
        for choice in completion.choices
        for text in (choice.message.content, choice.message.reasoning, *_calls(choice.message))
        if text
    ]
    return TokenCount(estimated(_texts(messages)), estimated(texts), "estimated")


def _calls(message: Message) -> list[str]:
    return [call.function.name + call.function.arguments for call in message.tool_calls or ()]


def _texts(messages: list[dict[str, Any]]) -> list[str]:
    found: list[str] = []
    for message in messages:
        content = message.get("content")
        if isinstance(content, str):
            found.append(content)
        elif isinstance(content, list):
            found += [part["text"] for part in content if isinstance(part.get("text"), str)]
    return found


def estimated(texts: list[str]) -> int:
    """Return about how many tokens texts have, by their size in bytes."""
    size = sum(len(text.encode("utf-8", "replace")) for text in texts)
    return -(-size // _BYTES_PER_TOKEN)


def task_receipt(
    attempts: tuple[Attempt, ...],
    target: Target,
    called: str,
    result: Any,
    *,
    ended: float,
    began: float,
) -> Receipt:
    """Return the receipt of a task; tokens are the provider's, or unknown: never counted here."""
    last = attempts[-1] if attempts else None
    told = _told_tokens(getattr(result, "usage", None))
    tokens = TokenCount(*told, "unknown" if told == (None, None) else "provider")
    return Receipt(
        provider=last.provider if last else target.provider,
        model=getattr(result, "model", None),
        request_id=last.request_id if last else None,
        attempts=attempts,
        time_to_first_token=None,
        total_time=ended - began,
        tokens=tokens,
        called=called,
    )


def _told_tokens(usage: Any) -> tuple[int | None, int | None]:
    """Return the counts that a result tells; of pictures and sounds they are left as they came."""
    if isinstance(usage, Usage):
        return usage.prompt_tokens, usage.completion_tokens
    if not isinstance(usage, dict):
        return None, None
    names = (("input_tokens", "prompt_tokens"), ("output_tokens", "completion_tokens"))
    read, made = (
        next((usage[n] for n in pair if type(usage.get(n)) is int), None) for pair in names
    )
    return read, made


def joined(receipts: Sequence[Receipt | None], usage: Usage | None) -> Receipt | None:
    """Return the receipts of several requests as that of one call, whose `usage` is the sum."""
    known = [receipt for receipt in receipts if receipt is not None]
    if not known:
        return None
    tokens = TokenCount(None, None, "unknown")
    if usage is not None and usage.prompt_tokens is not None:
        tokens = TokenCount(usage.prompt_tokens, usage.completion_tokens, "provider")
    return msgspec.structs.replace(known[-1], attempts=attempts_of(known), tokens=tokens)


def attempts_of(receipts: Iterable[Receipt]) -> tuple[Attempt, ...]:
    """Return the attempts of several requests as those of one."""
    return numbered(tuple(attempt for receipt in receipts for attempt in receipt.attempts))


def numbered(attempts: tuple[Attempt, ...]) -> tuple[Attempt, ...]:
    """Return attempts with numbers in their order."""
    return tuple(msgspec.structs.replace(a, number=n) for n, a in enumerate(attempts, 1))


def added(usages: list[Usage | None]) -> Usage | None:
    """Return the sum of usages; a count that one of them does not tell is unknown."""
    told = [usage for usage in usages if usage is not None]
    if len(told) < len(usages) or not told:
        return None

    def add(counts: list[int | None]) -> int | None:
        known = [count for count in counts if count is not None]
        return sum(known) if len(known) == len(counts) else None

    return Usage(
        prompt_tokens=add([usage.prompt_tokens for usage in told]),
        completion_tokens=add([usage.completion_tokens for usage in told]),
        total_tokens=add([usage.total_tokens for usage in told]),
    )
