"""The pages that make calls: read, priced, held, noted in the journal, and then sent.

Nothing goes upstream before all of that has been done.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from trunkline.dialects.openai_server import RequestError
from trunkline.errors import InvalidInputError
from trunkline.gateway import reserve
from trunkline.gateway.access import Caller
from trunkline.gateway.admission import Admission
from trunkline.gateway.aside import Aside
from trunkline.gateway.asked import Asked, read_asked
from trunkline.gateway.call import LEDGER_DOWN, Call, Desk
from trunkline.gateway.config import Money
from trunkline.gateway.entrant import Entrant
from trunkline.gateway.exchange import Exchange
from trunkline.gateway.guard import Holder
from trunkline.gateway.interpreted import Interpreted
from trunkline.gateway.journal import Journal
from trunkline.gateway.ledger import Ledger
from trunkline.gateway.plans import Plan, Plans, UnknownModelError
from trunkline.gateway.refusals import Fault, of_error, of_request, tell
from trunkline.gateway.relay import Relay
from trunkline.gateway.roads import Roads
from trunkline.gateway.urgency import (
    DEADLINE_HEADER,
    PRIORITY_HEADER,
    passed,
    read_urgency,
    too_late,
)
from trunkline.store.records import Endpoint, Entry

Carrier = Callable[..., Call]
_NOTHING = Asked("", stream=False, body={}, changes={}, hide_usage=False)


class _NoBooks:
    """Where what is no entry is noted."""

    def ended(self, entry: Entry) -> None:
        """Note nothing."""


_NO_BOOKS = _NoBooks()


class Dispatch:
    """Takes requests for calls."""

    def __init__(  # noqa: PLR0913, PLR0917 - what a call needs before it is one
        self,
        desk: Desk,
        plans: Plans,
        journal: Journal,
        ledger: Ledger,
        money: Money,
        admission: Admission,
        translated: Carrier,
        roads: Roads,
    ) -> None:
        """`translated` carries calls whose target speaks another dialect than the client's."""
        self.plans = plans
        """Replaced when the configuration is."""
        self.money = money
        self.upload_bytes = 0
        """That a file in a request may have."""
        self._desk = desk
        self._journal = journal
        self._ledger = ledger
        self.admission = admission
        self._translated = translated
        self._aside = Aside()
        self.roads = roads
        """What is known of the targets of routes."""

        self.chat = partial(self.take, "chat")
        """Takes a request for a chat; the next two, for a text's continuation and for embeddings."""
        self.completions = partial(self.take, "completions")
        self.embeddings = partial(self.take, "embeddings")
        self.responses = partial(self.take, "responses")
        """Takes a request for a response; where no target makes responses, for the chat that it is."""

    def take(self, endpoint: Endpoint, exchange: Exchange) -> None:
        """Take a request for a call; one that has a voice is for a chat, whatever its endpoint."""
        caller = _caller_of(exchange)
        spoken: Endpoint = endpoint if exchange.voice is None else "chat"
        try:
            asked = read_asked(exchange.body, spoken)
            plan = self._plan(caller, asked.model, spoken)
            if not plan.native:
                asked = self._interpreted(exchange, asked)
            if plan.refuses:
                self._check_accepted(plan, asked)
            if not plan.relayed:
                asked = self._translation(exchange.body, asked, spoken)
        except RequestError as wrong:
            self.refuse(exchange, wrong)
            return
        carrier: Carrier = self._translated if asked.wish is not None else Relay
        if exchange.voice is not None:
            carrier = Interpreted
        elif endpoint in ("messages", "responses"):
            carrier = _native(endpoint)
        self.carry(exchange, asked, plan, endpoint, carrier)

    def media(self, path: str, exchange: Exchange) -> None:
        """Take a request for pictures, sounds, videos or an order: what lies at `path` below /v1."""
        from trunkline.gateway.media_wishes import reading  # loads the SDK; chats do without it

        steps = reading(path, exchange, self.upload_bytes)
        self._aside.begin(exchange, steps, partial(self._take_media, exchange))

    def _take_media(self, exchange: Exchange, read: tuple[Asked, Endpoint] | RequestError) -> None:
        caller = _caller_of(exchange)
        if isinstance(read, RequestError):
            self.refuse(exchange, read)
            return
        asked, endpoint = read
        try:
            plan = self._plan(caller, asked.model, endpoint)
        except RequestError as wrong:
            self.refuse(exchange, wrong)
            return
        self.carry(exchange, asked, plan, endpoint, self._translated)

    def refuse(self, exchange: Exchange, wrong: RequestError) -> None:
        """Say what is wrong with a request, and count it."""
        self.admission.count("request")
        tell(exchange, of_request(wrong))

    def carry(
        self, exchange: Exchange, asked: Asked, plan: Plan, endpoint: Endpoint, carrier: Carrier
    ) -> None:
        """Hold, note and send a call that its caller may make."""
        caller = _caller_of(exchange)
        if not self._ledger.accepting:
            self.admission.count("ledger")
            tell(exchange, LEDGER_DOWN)
            return
        headers = exchange.head.headers
        if (
            caller.urgent
            or plan.deadline_seconds is not None
            or DEADLINE_HEADER in headers
            or PRIORITY_HEADER in headers
        ):
            try:
                self.look_how_urgent(exchange, plan.deadline_seconds)
            except RequestError as wrong:
                self.refuse(exchange, wrong)
                return
        if plan.policy is not None:
            found = self.roads.ordered(plan, plan.policy, asked, exchange)
            if isinstance(found, Fault):
                self.admission.count("route")
                tell(exchange, found)
                return
            plan = found
        self._hold(exchange, caller, asked, endpoint, carrier, plan)

    @staticmethod
    def look_how_urgent(exchange: Exchange, seconds: float | None = None) -> None:
        """Note by when a request has to be over, and whether it may wait; raises RequestError.

        `seconds` is what its route allows.
        """
        caller, headers = _caller_of(exchange), exchange.head.headers
        said = DEADLINE_HEADER in headers or PRIORITY_HEADER in headers
        if not said and seconds is None and not caller.urgent:
            return
        key, edge = caller.key, exchange.connection.edge
        given = [s for s in (key.deadline_seconds, seconds) if s is not None]
        began = time.monotonic() - (edge.now - exchange.began)
        most = min(given, default=math.inf)
        exchange.urgency = read_urgency(headers, key.priority, most, began)

    def out_of_time(self, exchange: Exchange) -> None:
        """Say that a request's deadline has passed, which is no call's."""
        self.admission.count("deadline")
        tell(exchange, of_error(passed(exchange.urgency)))

    def pass_by(
        self, exchange: Exchange, asked: Asked, plan: Plan, endpoint: Endpoint, carrier: Carrier
    ) -> None:
        """Send what only asks after a call: it counts against rates, and is no entry."""
        caller = _caller_of(exchange)
        holder = caller.holder.rates_only()
        again = partial(self.pass_by, exchange, asked, plan, endpoint, carrier)
        if self._held(exchange, holder, 0, 0, again):
            desk = msgspec.structs.replace(self._desk, journal=_NO_BOOKS, kept=None)
            entry = self._entry(exchange, caller, asked, endpoint, 0)
            carrier(desk, exchange, asked, plan, holder, 0, entry).send()

    def within_rates(self, exchange: Exchange, then: Callable[[], None]) -> None:
        """Count a request that calls nobody against its caller's rates, and go on if it may be."""
        caller = _caller_of(exchange)
        holder = caller.holder.rates_only()
        if self._held(exchange, holder, 0, 0, partial(self.within_rates, exchange, then)):
            holder.settle(self._entry(exchange, caller, _NOTHING, "hf", 0), 0, 0)
            then()

    def is_native(self, endpoint: Endpoint, model: Any) -> bool:
        """Tell whether whoever serves a model makes an endpoint's answers itself, and not by chats."""
        try:
            return isinstance(model, str) and self.plans.find(model, endpoint).native
        except (UnknownModelError, InvalidInputError):
            return False  # which is said when it is asked for as a chat

    def check(self, exchange: Exchange, model: str) -> None:
        """Raise RequestError unless a chat with a model could be sent for this caller."""
        self._plan(_caller_of(exchange), model, "chat")

    @staticmethod
    def _translation(data: bytes, asked: Asked, endpoint: Endpoint) -> Asked:
        """Read a request that the SDK has to carry; raises RequestError."""
        # loads the SDK; relays do without it
        from trunkline.gateway.translated_texts import read_wish

        return msgspec.structs.replace(asked, wish=read_wish(data, endpoint))

    @staticmethod
    def _interpreted(exchange: Exchange, asked: Asked) -> Asked:
        """Make a chat of a request in another API; raises RequestError."""
        from trunkline.gateway.responses_voice import interpret  # relays of chats do without it

        return interpret(exchange, asked)

    def _plan(self, caller: Caller, model: str, endpoint: Endpoint) -> Plan:
        if caller.models is not None and not caller.may_use(model):
            patterns = ", ".join(caller.key.scope.models[:10])
            raise RequestError(
                f"This key may not use the model {model[:200]!r}; it may use: {patterns}.",
                param="model",
                code="model_not_allowed",
                status=403,
            )
        try:
            plan = self.plans.find(model, endpoint)
        except UnknownModelError as unknown:
            raise RequestError(
                unknown.message, param="model", code="model_not_found", status=404
            ) from unknown
        except InvalidInputError as wrong:
            raise RequestError(
                f"{wrong.message} {wrong.hint or ''}".strip(), param="model"
            ) from wrong
        return _within(plan, caller) if caller.providers else plan

    @staticmethod
    def _check_accepted(plan: Plan, asked: Asked) -> None:
        wrong = sorted(plan.refuses & asked.body.keys())
        if wrong:
            raise RequestError(
                f"The provider of {plan.name!r} does not take {', '.join(wrong)}. Leave it out.",
                param=wrong[0],
                code="unsupported_parameter",
            )

    def _hold(
        self,
        exchange: Exchange,
        caller: Caller,
        asked: Asked,
        endpoint: Endpoint,
        carrier: Carrier,
        plan: Plan,
    ) -> None:
        edge, holder = exchange.connection.edge, caller.holder
        if exchange.urgency.deadline <= edge.now:
            self.admission.refuse(exchange, too_late(exchange.urgency))
            return
        if plan.gated:
            hold = partial(self._hold, exchange, caller, asked, endpoint, carrier)
            entrant = Entrant(exchange, holder, asked, endpoint, self.money, hold)
            found = self.admission.let_in(entrant, plan)
            if found is None:
                return
            plan = found
        reserved, likely = reserve.most(asked, exchange.size, plan, endpoint)
        if reserved is None:
            refusal, reserved = reserve.unpriced(self.money, holder, endpoint)
            if refusal is not None:
                self.admission.refuse(exchange, refusal)
                return
        refusal = holder.hold(reserved, likely, edge.now, edge.wall)
        if refusal is not None:
            again = partial(self._hold, exchange, caller, asked, endpoint, carrier, plan)
            self.admission.not_held(exchange, holder, refusal, reserved, likely, again)
            return
        entry = self._entry(exchange, caller, asked, endpoint, reserved)
        call = carrier(self._desk, exchange, asked, plan, holder, likely, entry)
        if plan.gated:
            call.enter(plan.targets[0].gates)
        self._journal.intend(entry, call)

    def _entry(
        self, exchange: Exchange, caller: Caller, asked: Asked, endpoint: Endpoint, reserved: int
    ) -> Entry:
        key = caller.key
        return Entry(
            exchange.id,
            self._journal.boot,
            key.id,
            key.owner,
            key.team,
            endpoint,
            asked.model,
            asked.stream,
            exchange.connection.edge.clock(),
            reserved,
            client_request_id=exchange.client_id,
            queued=exchange.queued,
        )

    def _held(
        self,
        exchange: Exchange,
        holder: Holder,
        amount: int,
        tokens: int,
        again: Callable[[], None],
    ) -> bool:
        edge = exchange.connection.edge
        refusal = holder.hold(amount, tokens, edge.now, edge.wall)
        if refusal is not None:
            self.admission.not_held(exchange, holder, refusal, amount, tokens, again)
        return refusal is None


def _caller_of(exchange: Exchange) -> Caller:
    caller = exchange.caller
    if caller is None:  # the route table has let a stranger in: it must not
        raise TypeError("a call needs a caller")
    return caller


def _native(endpoint: Endpoint) -> Carrier:
    # relays of chats do without both
    if endpoint == "messages":
        from trunkline.gateway.native_messages import NativeMessages

        return NativeMessages
    from trunkline.gateway.native import Native

    return Native


def _within(plan: Plan, caller: Caller) -> Plan:
    """Keep to the targets whose provider the key may use; raises RequestError where none is left."""
    targets = tuple(t for t in plan.targets if (t.provider or t.upstream) in caller.providers)
    if targets:
        return plan.only(targets)
    allowed = ", ".join(sorted(caller.providers))
    raise RequestError(
        f"This key may only use these providers: {allowed}. Name one: <org>/<model>:<provider>.",
        param="model",
        code="provider_not_allowed",
        status=403,
    )
