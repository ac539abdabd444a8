"""From how a call ended to its row: what it cost, as far as anybody knows, and no secret."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import quote

import msgspec

from trunkline._version import __version__
from trunkline.catalog import Catalog, cost
from trunkline.logbook.content import Clean, asked, written
from trunkline.logbook.notes import Ended
from trunkline.logbook.writer import utc_text
from trunkline.store.logged import Logged, LoggedAttempt, LoggedCall, LoggedContent
from trunkline.types import Attempt, Receipt, TokenCount
from trunkline.types.chat import Chat
from trunkline.types.cost import Cost
from trunkline.types.secret_shapes import Secrets

_LONGEST = 4000
"""Characters of an error's message that are kept."""
_REPEATED = 300
"""Characters up to which a text may be one that comes with every call."""
_PRICES_KEPT = 600.0
"""Seconds for which prices are taken as they were read."""


class _Priced(msgspec.Struct, frozen=True):
    """What of an answer its cost rests on, in the form of a result."""

    receipt: Receipt
    usage: Any


class Rows:
    """Makes rows, on one thread at a time. Prices are those at hand: nobody is asked for them."""

    def __init__(self, prices: Callable[[], Catalog]) -> None:
        """Take what has the catalog that needs no network."""
        self._prices = prices
        self._catalog: Catalog | None = None
        self._until = 0.0

    def __call__(self, ended: Ended) -> Logged:
        """Return the row of a call, with those of its attempts."""
        account = ended.journey.account
        secret = account.secret.value if account and account.secret else None
        clean = partial(_cleaned, secret)
        attempts = tuple(
            _attempt(ended.id, number, one, clean) for number, one in enumerate(ended.attempts, 1)
        )
        return Logged(self._call(ended, clean), attempts, _content(ended, clean))

    def _call(self, ended: Ended, clean: Clean) -> LoggedCall:
        call, receipt, error = ended.journey.call, ended.receipt, ended.error
        account = ended.journey.account
        last = ended.attempts[-1] if ended.attempts else None
        tokens = receipt.tokens if receipt else TokenCount(None, None, "unknown")
        paid = self._cost(ended)
        told = error.provider if error and error.provider else None
        asked_for = last.provider if last else call.model.provider
        cached = getattr(ended.usage, "cached_tokens", None)
        return LoggedCall(
            id=ended.id,
            started=utc_text(ended.started),
            task=task_of(call),
            model=str(call.model),
            outcome=ended.outcome,
            seconds=round(ended.seconds, 6),
            stream=ended.stream,
            request_id=_request_id(ended),
            job=ended.job,
            provider=receipt.provider if receipt else told or asked_for,
            answered_model=receipt.model if receipt else None,
            first_token=_rounded(receipt.time_to_first_token if receipt else None),
            input_tokens=tokens.input,
            output_tokens=tokens.output,
            cached_tokens=cached if isinstance(cached, int) else None,
            token_source=tokens.source,
            cost=None if paid.amount is None else f"{paid.amount:f}",
            cost_source=paid.source,
            cost_detail=clean(paid.detail),
            prices_as_of=paid.as_of.strftime("%Y-%m-%dT%H:%M:%SZ") if paid.as_of else None,
            error=error.kind if error else None,
            status=error.status if error else (last.status if last else None),
            message=_short(clean(error.message)) if error else None,
            attempts=len(ended.attempts),
            bill_to=account.bill_to if account else None,
            credential=account.secret.origin if account and account.secret else None,
            route=None if ended.route is None else written(ended.route, clean),
            version=__version__,
        )

    def _cost(self, ended: Ended) -> Cost:
        receipt = ended.receipt
        if receipt is None:
            return Cost(detail="No answer came, so nothing is known of what it cost.")
        if receipt.cost is not None:
            return receipt.cost
        if task_of(ended.journey.call) == "feature-extraction":  # nothing is generated
            tokens = msgspec.structs.replace(receipt.tokens, output=0)
            receipt = msgspec.structs.replace(receipt, tokens=tokens)
        return cost(_Priced(receipt, ended.usage), self._known_prices())

    def _known_prices(self) -> Catalog:
        now = time.monotonic()
        if self._catalog is None or now >= self._until:
            self._catalog, self._until = self._prices(), now + _PRICES_KEPT
        return self._catalog


def task_of(call: Any) -> str:
    """Return what a call is for: `chat`, or the task's name on the Hub."""
    return "chat" if isinstance(call, Chat) else str(call.task)


def _attempt(call: str, number: int, attempt: Attempt, clean: Clean) -> LoggedAttempt:
    tokens, paid = attempt.tokens, attempt.cost
    return LoggedAttempt(
        call=call,
        number=number,
        provider=attempt.provider,
        model=attempt.model,
        url=clean(attempt.url),
        status=attempt.status,
        error=attempt.error,
        request_id=attempt.request_id,
        started=round(attempt.started, 6),
        seconds=round(attempt.seconds, 6),
        role=attempt.role,
        moved=None if attempt.moved is None else _short(clean(attempt.moved)),
        input_tokens=tokens.input if tokens else None,
        output_tokens=tokens.output if tokens else None,
        cost=None if paid is None or paid.amount is None else f"{paid.amount:f}",
    )


def _content(ended: Ended, clean: Clean) -> LoggedContent | None:
    if not ended.content:
        return None
    answered = None if ended.result is None else written(ended.result, clean)
    return LoggedContent(ended.id, asked(ended.journey.call, clean), answered)


def _request_id(ended: Ended) -> str | None:
    if ended.receipt is not None:
        return ended.receipt.request_id
    if ended.error is not None and ended.error.request_id is not None:
        return ended.error.request_id
    return next((a.request_id for a in reversed(ended.attempts) if a.request_id), None)


def _cleaned(secret: str | None, text: str) -> str:
    """Return a text without a call's own secret, as it is and as a URL has it, and others."""
    return (_cleaned_short if len(text) < _REPEATED else _cleaned_any)(secret, text)


def _cleaned_any(secret: str | None, text: str) -> str:
    secrets = Secrets()
    secrets.hide(secret)
    secrets.hide(quote(secret, safe="") if secret else None)
    return secrets.clean(text)


_cleaned_short = functools.lru_cache(512)(_cleaned_any)  # the same addresses come again and again


def _short(text: str) -> str:
    text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)
