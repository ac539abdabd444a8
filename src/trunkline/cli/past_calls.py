"""Calls as the local log and the gateway's ledger have them, as the values that stories are told from."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from trunkline.cli.given import shown_moment
from trunkline.cli.story import PastAttempt, PastCall
from trunkline.store.logged import Logged, LoggedAttempt
from trunkline.store.records import Entry
from trunkline.store.tries import Try, read_report, read_tries
from trunkline.types.money import dollars
from trunkline.types.route import RouteReport

LOG = "the log of this machine"
LEDGER = "the gateway's ledger"


def from_log(found: Logged) -> PastCall:
    """Return a call of the local log."""
    call = found.call
    payer = f"paid by {call.bill_to}" if call.bill_to else ""
    token = f"with the credential from {call.credential}" if call.credential else ""
    account = ", ".join(part for part in (payer, token) if part)
    return PastCall(
        id=call.id,
        record=LOG,
        started=f"{call.started[:19].replace('T', ' ')} UTC",
        what="a chat" if call.task == "chat" else call.task,
        model=call.model,
        outcome=call.outcome,
        stream=call.stream,
        seconds=call.seconds,
        first_token=call.first_token,
        account=f"It was {account}." if payer else f"It was made {account}." if account else "",
        attempts=tuple(_attempt(one) for one in found.attempts),
        attempt_count=call.attempts,
        choice=_choice(found),
        route=_route(call.route),
        provider=call.provider,
        answered_model=call.answered_model,
        request_id=call.request_id,
        input_tokens=call.input_tokens,
        output_tokens=call.output_tokens,
        token_source=call.token_source,
        cost=None if call.cost is None else Decimal(call.cost),
        cost_detail=call.cost_detail,
        error=call.error,
        status=call.status,
        message=call.message,
        job=call.job,
    )


def _route(text: str | None) -> RouteReport | None:
    try:
        return None if text is None else msgspec.json.decode(text, type=RouteReport)
    except msgspec.MsgspecError:  # of a newer program, with words that are not known here
        return None


def _choice(found: Logged) -> str:
    """Return who chose where a call without a route went."""
    if not found.attempts:
        return ""
    first = found.attempts[0]
    if first.url.startswith("sandbox:"):
        return "The sandbox answered, in the program's own process."
    named = f"/{first.provider}/" in f"/{found.call.model}/" if first.provider else False
    if named:
        return f"The model string names {first.provider}, so there was nothing to choose."
    if "/v1/chat/completions" in first.url and found.call.model.startswith("huggingface/"):
        return "The router chose the provider; whom else it could have asked it does not tell."
    return "There was one place to ask."


def _attempt(one: LoggedAttempt) -> PastAttempt:
    return PastAttempt(
        number=one.number,
        provider=one.provider,
        model=one.model,
        status=one.status,
        error=one.error,
        started=one.started,
        seconds=one.seconds,
        role=one.role,
        moved=one.moved,
        request_id=one.request_id,
        input_tokens=one.input_tokens,
        output_tokens=one.output_tokens,
        cost=None if one.cost is None else Decimal(one.cost),
    )


def from_ledger(entry: Entry) -> PastCall:
    """Return a call of a gateway's ledger, of one with a route with its tries and candidates."""
    tries, route = read_tries(entry), read_report(entry)
    return PastCall(
        id=entry.id,
        record=LEDGER,
        started=shown_moment(entry.started).replace("Z", " UTC"),
        what="a chat" if entry.endpoint == "chat" else f"a call of {entry.endpoint}",
        model=entry.model,
        outcome=entry.outcome or entry.state,
        stream=entry.stream,
        seconds=None if entry.ended is None else entry.ended - entry.started,
        first_token=entry.first_byte,
        account=_whose(entry),
        attempts=tuple(_tried(number, one) for number, one in enumerate(tries, 1)),
        attempt_count=max(entry.attempts, len(tries)),
        route=route,
        choice="Who else could have been asked is not in the ledger.",
        provider=_served_by(entry),
        answered_model=entry.target_model or None,
        request_id=entry.upstream_id,
        input_tokens=entry.input_tokens,
        output_tokens=entry.output_tokens,
        token_source=entry.token_source,
        cost=None if entry.cost is None else dollars(entry.cost),
        cost_detail=_priced(entry),
        error=entry.error,
        status=entry.status,
        remarks=tuple(_remarks(entry)),
    )


def _tried(number: int, one: Try) -> PastAttempt:
    provider = one.provider or one.target
    through = "" if one.upstream in (provider, "") else f" (through the upstream {one.upstream})"
    return PastAttempt(
        number=number,
        provider=f"{provider}{through}",
        model=one.model,
        status=one.status,
        error=one.error,
        started=one.started,
        seconds=one.seconds,
        role=one.role,
        moved=one.moved,
        input_tokens=one.input_tokens,
        output_tokens=one.output_tokens,
        cost=None if one.cost is None else dollars(one.cost),
    )


def _whose(entry: Entry) -> str:
    names = (("owner", entry.owner), ("team", entry.team))
    more = ", ".join(f"{kind} {name}" for kind, name in names if name)
    return f"It was made with key {entry.key}{f' ({more})' if more else ''}."


def _served_by(entry: Entry) -> str | None:
    if entry.provider and entry.upstream and entry.provider != entry.upstream:
        return f"{entry.provider} (through the upstream {entry.upstream})"
    return entry.provider or (f"the upstream {entry.upstream}" if entry.upstream else None)


def _priced(entry: Entry) -> str:
    if entry.input_price is None and entry.output_price is None:
        return f"The price is from {entry.price_source}." if entry.price_source else ""
    prices = [
        f"{'unknown' if price is None else f'${dollars(price):f}'} {side}"
        for side, price in (("in", entry.input_price), ("out", entry.output_price))
    ]
    source = f", from {entry.price_source}" if entry.price_source else ""
    return f"Prices of a million tokens: {', '.join(prices)}{source}."


def _remarks(entry: Entry) -> list[str]:
    said: list[str] = []
    if entry.queued is not None:
        said.append(
            f"It waited {entry.queued:.2f} s for an upstream to let it in, before it began."
        )
    if entry.state == "open":
        said.append(f"At most ${dollars(entry.reserved):f} is held for it.")
    elif entry.charged != entry.cost:
        said.append(f"Budgets were charged ${dollars(entry.charged):f} for it.")
    if entry.note:
        said.append(f"What was odd: {entry.note}.")
    if entry.client_request_id:
        said.append(f"Its client called it {entry.client_request_id}.")
    return said
