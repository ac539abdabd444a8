"""A task with a route: who may carry it out, and the next one where one fails; jobs included.

A job that was accepted stays where it is: what becomes of it there is the call's own end.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import msgspec

from trunkline import model_id
from trunkline.errors import APIError, InvalidInputError
from trunkline.model_id import ModelId
from trunkline.providers.table import PROVIDERS
from trunkline.providers.targets import Places, placeholder
from trunkline.providers.task_targets import knows
from trunkline.routing.ask import Ask
from trunkline.routing.carry import Flow
from trunkline.routing.event_flow import OpenedEvents
from trunkline.routing.hedging import Stage
from trunkline.routing.look_up import find_map
from trunkline.routing.needs import Need
from trunkline.routing.own_keys import OTHERS_KEY, SERVERS_KEY, is_own, no_server
from trunkline.routing.policy import Policy
from trunkline.routing.ranking import Option, Wanted
from trunkline.routing.record import numbered
from trunkline.routing.retry import Retry
from trunkline.routing.traffic import Facts, Traffic
from trunkline.routing.travel import Travel, Trip
from trunkline.types import Attempt, Receipt, Secret
from trunkline.types.results import Items
from trunkline.types.route import SERVER
from trunkline.types.tasks import FUNCTIONS


class Road(msgspec.Struct, frozen=True):
    """What a task's route is made of."""

    policy: Policy
    traffic: Traffic
    account: str
    """Whose calls they are, in a form that is no secret."""
    wall: float
    """What monotonic time lacks to seconds since the epoch."""


Carried = Callable[[Ask[Any]], Flow[Any]]


class Arrived(msgspec.Struct, frozen=True):
    """A result, and the attempts of the whole call so far."""

    result: Any
    attempts: tuple[Attempt, ...]


def routed_ask(ask: Ask[Any], road: Road, carried: Carried) -> Flow[Any]:
    """Carry a call along its route and bring its result; raises APIError.

    `carried` carries it to one place: the flow of a task, or of an answer that opens as a stream.
    """
    journey = ask.journey
    models, notes, now = yield from _places(ask, road.policy)
    trip = Trip(
        policy=road.policy,
        options=tuple(_option(ask, name, model, road) for name, model in models.items()),
        wanted=Wanted(session=ask.places.session_id),
        traffic=road.traffic,
        leg=_legs(ask, models, carried),
        result=Results(),
        began=journey.began,
        starts=now,
        end=journey.end,
        wall=road.wall,
        patience=journey.began + journey.call.timeouts.total,
        notes=notes,
        retries=journey.retry.limit > 0,
    )
    arrived = yield from Travel(trip).go()
    return arrived.result


def _own(result: Any) -> tuple[Attempt, ...]:
    if isinstance(result, OpenedEvents):
        return result.attempts(result.reply.ended, None)
    receipt = getattr(result, "receipt", None)
    return receipt.attempts if isinstance(receipt, Receipt) else ()


class Results:
    """What there is to know of results of tasks."""

    @staticmethod
    def attempts(arrived: Arrived) -> tuple[Attempt, ...]:
        """Return the attempts, the one that brought it last."""
        return arrived.attempts

    @staticmethod
    def facts(arrived: Arrived) -> Facts:
        """Return what was seen: of a task the whole result counts as its first token."""
        result = arrived.result
        if isinstance(result, OpenedEvents):
            return Facts(first_token=result.reply.ended - result.reply.started)
        receipt = getattr(result, "receipt", None)
        if not isinstance(receipt, Receipt) or not receipt.attempts:
            return Facts()
        return Facts(first_token=receipt.total_time - receipt.attempts[0].started)

    @staticmethod
    def placed(arrived: Arrived, attempts: tuple[Attempt, ...], travel: Travel[Arrived]) -> Arrived:
        """Return the result with all attempts and its route in the receipt."""
        result = arrived.result
        if isinstance(result, OpenedEvents):
            last = attempts[-1].role
            opened = msgspec.structs.replace(
                result, before=attempts[:-1], route=travel.report, role=last
            )
            return Arrived(opened, attempts)
        receipt = getattr(result, "receipt", None)
        if isinstance(receipt, Receipt):
            told = msgspec.structs.replace(receipt, attempts=attempts, route=travel.report)
            if isinstance(result, Items):
                result = Items(result, told)
            else:
                result = msgspec.structs.replace(result, receipt=told)
        return Arrived(result, attempts)


def _legs(ask: Ask[Any], models: dict[str, ModelId], carried: Carried) -> Any:
    journey = ask.journey

    def leg(option: Option, stage: Stage) -> Flow[Arrived]:
        served = option.name == SERVER
        places = ask.places if served else _elsewhere(ask)
        call = msgspec.structs.replace(journey.call, model=models[option.name])
        once = Retry(0, journey.retry.chance)
        there = msgspec.structs.replace(journey, call=call, retry=once, starts=stage.now)
        try:
            there_asked = msgspec.structs.replace(ask, journey=there, places=places, route=None)
            result = yield from carried(there_asked)
        except APIError as error:
            error.attempts = numbered((*stage.before, *error.attempts))
            raise
        return Arrived(result, numbered((*stage.before, *_own(result))))

    return leg


def _places(
    ask: Ask[Any], policy: Policy
) -> Generator[Need, Any, tuple[dict[str, ModelId], tuple[str, ...], float]]:
    """Return the places of a task by name; who serves its model is asked of the Hub if need be."""
    call = ask.journey.call
    asked, now = call.model, ask.journey.began
    notes: tuple[str, ...] = ()
    found: dict[str, ModelId] = {}
    if ask.places.api_base is not None:
        found[SERVER] = asked
        if any("/" not in place for place in policy.places if place != SERVER):
            asked = model_id.parse(asked.name)
    elif SERVER in policy.places:
        raise no_server()
    if asked.provider is not None:
        found[asked.provider] = asked
    for name in policy.places:
        if name != SERVER:
            found[name] = _model(name, asked)
    if not found:
        found, notes, now = yield from _mapped(ask, asked)
    for name in policy.fallbacks:
        model = model_id.parse(name)
        if model == call.model:
            raise InvalidInputError(f"The route's fallback {name!r} is the call's own model.")
        found.setdefault(name, model)
    return found, notes, now


def _mapped(
    ask: Ask[Any], asked: ModelId
) -> Generator[Need, Any, tuple[dict[str, ModelId], tuple[str, ...], float]]:
    journey, call = ask.journey, ask.journey.call
    if asked.scheme == "sandbox":
        return {"sandbox": asked}, (), journey.began
    known, now = yield from find_map(
        journey.maps,
        asked.name,
        journey.hub_secret(ask.places.secret),
        timeouts=call.timeouts,
        now=journey.began,
        end=journey.end,
    )
    rows = () if known is None else known.servings
    task = call.task if call.task in FUNCTIONS else "conversational"
    found = {
        row.provider: _model(row.provider, asked)
        for row in rows
        if row.serves(task) and row.status != "staging" and _knows(row.provider, task)
    }
    if found:
        return found, (), now
    if call.task not in FUNCTIONS:
        return {str(asked): asked}, ("No provider is named; the router chooses.",), now
    note = f"The Hub names no provider of {asked.name} for {call.task}."
    return {str(asked): asked}, (note,), now


def _knows(provider: str, task: str) -> bool:
    row = PROVIDERS.get(provider)
    if row is None:
        return False
    return row.chat_path is not None if task == "conversational" else knows(provider, task)


def _model(name: str, asked: ModelId) -> ModelId:
    if "/" in name:
        return model_id.parse(name)
    return msgspec.structs.replace(asked, provider=name, policy=None)


def _option(ask: Ask[Any], name: str, model: ModelId, road: Road) -> Option:
    row = PROVIDERS.get(model.provider or "")
    return Option(
        name,
        None if name == SERVER else model.provider,
        model.name,
        region=None if row is None else row.region,
        account=road.account,
        barred=_barred(ask, name, model),
        fallback=_group(ask, name, road.policy),
    )


def _group(ask: Ask[Any], name: str, policy: Policy) -> int:
    """Return which of the groups a place is in that are asked one after another: a server's is the first."""
    served = ask.places.api_base is not None
    if name in policy.fallbacks and name not in policy.places:
        return policy.fallbacks.index(name) + 1 + served
    return int(served and name != SERVER)


def _own_key(ask: Ask[Any]) -> bool:
    return is_own(ask.places.secret, ask.places.direct, explicit=ask.places.explicit)


def _barred(ask: Ask[Any], name: str, model: ModelId) -> str | None:
    if name == SERVER or model.scheme == "sandbox" or not _own_key(ask):
        return None
    if ask.places.api_base is not None:  # the key is the server's, the others are asked without
        return None if _found(ask) is not None else SERVERS_KEY
    pinned = ask.journey.call.model.provider
    return OTHERS_KEY if pinned is None or model.provider != pinned else None


def _found(ask: Ask[Any]) -> Secret | None:
    return ask.journey.hub_secret(None) or placeholder(ask.places.router)


def _elsewhere(ask: Ask[Any]) -> Places:
    """Return with what a provider is asked in place of a server of one's own."""
    places = msgspec.structs.replace(ask.places, api_base=None)
    if ask.places.api_base is None or not _own_key(ask):
        return places
    return msgspec.structs.replace(places, secret=_found(ask), explicit=False)
