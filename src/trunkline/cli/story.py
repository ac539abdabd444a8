"""The story of one call in plain words: values in, lines out. It knows no log, ledger or screen."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import msgspec

from trunkline.types.route import Candidate, RouteReport


class PastAttempt(msgspec.Struct, frozen=True):
    """One exchange of a call that has ended."""

    number: int
    provider: str | None
    model: str
    status: int | None
    error: str | None
    started: float
    """Seconds since the call began."""
    seconds: float
    role: str = "first"
    moved: str | None = None
    """Why the call did not end with it."""
    request_id: str | None = None
    input_tokens: int | None = None
    """Of this exchange alone, where they are known."""
    output_tokens: int | None = None
    cost: Decimal | None = None


class PastCall(msgspec.Struct, frozen=True):
    """A call that has ended, or is open yet, whoever kept a record of it."""

    id: str
    record: str
    """Who kept it: `the local log`, `the gateway's ledger`."""
    started: str
    """For people, UTC."""
    what: str
    """`a chat`, `text-to-image`."""
    model: str
    outcome: str
    """A row of `ENDS`."""
    stream: bool = False
    seconds: float | None = None
    first_token: float | None = None
    account: str = ""
    """On whose account, in words; without secrets."""
    attempts: tuple[PastAttempt, ...] = ()
    attempt_count: int = 0
    """How many there were, also where no more is known of them."""
    route: RouteReport | None = None
    choice: str = ""
    """Without a route: what is known of the choice, in a sentence."""
    provider: str | None = None
    answered_model: str | None = None
    request_id: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    token_source: str = "unknown"  # noqa: S105 - tokens of text
    cost: Decimal | None = None
    cost_detail: str = ""
    """Where the price is from, or why there is none."""
    error: str | None = None
    status: int | None = None
    message: str | None = None
    job: str | None = None
    remarks: tuple[str, ...] = ()
    """What else is known, a sentence each."""


ENDS: dict[str, str] = {
    "ok": "It ended well",
    "failed": "It failed",
    "broken": "Its answer broke off after it had begun",
    "truncated": "Its answer broke off after it had begun",
    "left": "The caller stopped reading before the end",
    "cancelled": "The caller did not wait for the answer",
    "refused": "It was refused",
    "open": "It has not ended yet",
    "unknown": "Nobody knows how it ended: its process died first",
}
_SOURCES = {
    "provider": "as the provider counted",
    "estimated": "estimated here from the text",
    "unknown": "and nobody told how many",
}
_ROLES = {
    "retry": "the same place again",
    "failover": "the next place on the route",
    "hedge": "a second place beside the one that was slow",
    "restart": "the whole answer anew, as its stream had been cut",
    "continue": "the rest of the answer, as its stream had been cut",
}
_FOLLOWS = {
    "retry": "It was asked again",
    "hedge": "A second place was asked beside it",
    "restart": "The whole answer was asked for anew",
    "continue": "The rest of the answer was asked for",
}
"""What is said of an attempt by what the next one was for."""
_MARGIN = " " * 11
_NUMBERS = {
    "measured": "measured here",
    "catalog": "from the catalog",
    "mixed": "measured here and from the catalog",
    "unknown": "nothing known",
}


def story(call: PastCall) -> list[str]:
    """Return the story of a call, a line each; an empty one separates its parts."""
    parts = (_asked(call), _route(call), _attempts(call), _end(call))
    lines: list[str] = []
    for part in parts:
        said = list(part)
        if said and lines:
            lines.append("")
        lines += said
    return lines


def _asked(call: PastCall) -> Iterator[str]:
    streamed = ", streamed" if call.stream else ""
    yield f"{call.id}, {call.started}, from {call.record}."
    account = f" {call.account}" if call.account else ""
    yield f"{call.what[:1].upper()}{call.what[1:]} with {call.model} was asked for{streamed}.{account}"


def _route(call: PastCall) -> Iterator[str]:
    route = call.route
    if route is None:
        if call.choice:
            yield call.choice
        return
    able = route.order
    total = len(route.candidates)
    yield (
        f"Its route: {route.policy}. Of {total} {_plural(total, 'candidate')} "
        f"{len(able)} could be asked{':' if total else '.'}"
    )
    width = max((len(one.name) for one in route.candidates), default=0)
    for place, one in enumerate(able, 1):
        yield f"  {place}. {one.name:<{width}}  {_rated(one)}"
    for one in route.candidates:
        if one.excluded is not None:
            yield f"  -  {one.name:<{width}}  not asked: {one.excluded}"
    for remark in route.notes:
        yield f"  Note: {remark}"


def _rated(one: Candidate) -> str:
    facts = [
        None if one.cost is None else f"${one.cost:f} expected",
        None if one.first_token is None else f"first token in {one.first_token:.2f} s",
        None if one.throughput is None else f"{one.throughput:.0f} tokens/s",
        None if one.error_rate is None else f"{one.error_rate:.0%} errors",
        None if one.score is None else f"score {one.score:.4g}",
    ]
    known = [fact for fact in facts if fact is not None]
    if not known:
        return "nothing was known of it"
    return f"{', '.join(known)} ({_NUMBERS[one.source]})"


def _attempts(call: PastCall) -> Iterator[str]:
    for at, one in enumerate(call.attempts, 1):
        next_role = call.attempts[at].role if at < len(call.attempts) else ""
        where = one.provider or "the router, which chose the provider itself,"
        role = f" ({_ROLES[one.role]})" if one.role in _ROLES else ""
        yield (
            f"{one.started:7.2f} s  Attempt {one.number}{role} went to {where} as {one.model}: "
            f"{_came(one)} after {one.seconds:.2f} s."
        )
        used = _used(one)
        if used:
            yield f"{_MARGIN}{used}"
        if one.moved:
            yield f"{_MARGIN}{_FOLLOWS.get(next_role, 'The call moved on')}: {_sentence(one.moved)}"
    missing = call.attempt_count - len(call.attempts)
    if missing > 0 and call.attempts:
        yield f"Of {missing} further {_plural(missing, 'attempt')} no more is known."
    elif missing > 1:
        yield f"There were {missing} attempts; no more is known of the first {missing - 1}."


def _used(one: PastAttempt) -> str:
    """Return what is known of an exchange's own tokens and cost."""
    counts = (("in", one.input_tokens), ("out", one.output_tokens))
    tokens = ", ".join(f"{count:,} tokens {side}" for side, count in counts if count is not None)
    if one.cost == 0 and not tokens:
        return "It cost nothing."
    cost = "" if one.cost is None else f"${one.cost:f}"
    parts = [part for part in (tokens, cost) if part]
    return f"It used {' for '.join(parts)}." if parts else ""


def _came(one: PastAttempt) -> str:
    if one.error == "cancelled":
        return "nobody waited for it any more"
    status = None if one.status is None else f"HTTP {one.status}"
    if one.error is None:
        return status or "an answer came"
    return f"{one.error}, {status}" if status else f"{one.error}, without an answer"


def _end(call: PastCall) -> Iterator[str]:
    yield from _ended(call)
    yield from _answered(call)
    yield from _paid(call)
    if call.job:
        yield f"Its job is found again by resume_job({call.job!r})."
    yield from call.remarks


def _ended(call: PastCall) -> Iterator[str]:
    end = ENDS.get(call.outcome, f"It ended as {call.outcome!r}")
    after = "" if call.seconds is None else f", {call.seconds:.2f} s after it began"
    first = (
        "" if call.first_token is None else f"; its first token came at {call.first_token:.2f} s"
    )
    yield f"{end}{after}{first}."
    if call.error or call.message:
        status = "" if call.status is None else f" (status {call.status})"
        kind = f"{call.error}{status}" if call.error else f"The error{status}"
        yield f"{kind}: {_sentence(_message(call))}" if call.message else f"{kind}."


def _message(call: PastCall) -> str:
    """Return an error's text; where the route was told already, without its table."""
    text = (call.message or "").strip()
    return text.splitlines()[0].rstrip(":") if call.route is not None and text else text


def _answered(call: PastCall) -> Iterator[str]:
    request = f" Its request id is {call.request_id}." if call.request_id else ""
    if call.outcome in ("failed", "refused", "cancelled", "unknown", "open"):
        last = f"The last that was asked is {call.provider}." if call.provider else ""
        if last or request:
            yield f"{last}{request}".strip()
        return
    who = call.provider or "Who answered nobody said; the router chose. The answer"
    named = f" as {call.answered_model}" if call.answered_model else ""
    came = "came" if call.provider is None else "answered"
    yield f"{who} {came}{named}.{request}"


def _paid(call: PastCall) -> Iterator[str]:
    counts = (call.input_tokens, call.output_tokens)
    if counts != (None, None):
        read, made = ("an unknown number of" if n is None else f"{n:,}" for n in counts)
        source = _SOURCES.get(call.token_source, call.token_source)
        yield f"Tokens: {read} in, {made} out, {source}."
    detail = f" {_sentence(call.cost_detail)}" if call.cost_detail else ""
    if call.cost is not None:
        yield f"It cost ${call.cost:f}.{detail}"
    elif call.outcome != "open":
        yield f"What it cost is unknown.{detail}"


def _sentence(text: str) -> str:
    said = text.strip()
    return said if said.endswith((".", "!", "?", "…")) else f"{said}."


def _plural(number: int, what: str) -> str:
    return what if number == 1 else f"{what}s"
