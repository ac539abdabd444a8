"""Chats with a route: from what the caller wrote to a trip that is ready to go. No I/O but small files."""

from __future__ import annotations

import math
import os
import random
import threading
import time
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from trunkline.dialects.messages import prepare_messages
from trunkline.errors import InvalidResponseError
from trunkline.marked import load_marks, marks_file
from trunkline.measured import Keeper, load_measures, measures_file
from trunkline.parameters import BODY_NAMES, check_parameters, timeouts_from
from trunkline.providers.spec import Target
from trunkline.providers.table import PROVIDERS
from trunkline.routes import Asked, Stop, account_of, needs_catalog, stops, wanted_of
from trunkline.routing import marks
from trunkline.routing.carry import Account, Journey
from trunkline.routing.chat_route import Streams, leg_of
from trunkline.routing.flow import Opened
from trunkline.routing.holding import Hold
from trunkline.routing.own_keys import is_own
from trunkline.routing.policy import Policy
from trunkline.routing.retry import Retry
from trunkline.routing.traffic import Marks, Traffic
from trunkline.routing.travel import Trip
from trunkline.settings import Settings
from trunkline.types import Chat, Messages

if TYPE_CHECKING:
    from trunkline.calls import Calls
    from trunkline.catalog import Catalog

_LIST_SECONDS = 5.0
_LOOK_AGAIN = 30.0
"""Seconds between two looks at the file of marks."""


class Roads:
    """What the calls of one client know together of places, and what is kept of it."""

    def __init__(self, settings: Settings, *, apart: bool = False) -> None:
        """Begin with what was kept; the files are beside the catalog's.

        `apart` from it nothing is known and nothing kept, and chance is the same each time.
        """
        file = None if apart else measures_file(settings)
        chance = random.Random(0).random if apart else random.random  # noqa: S311 - no secret
        self._marks_file = None if apart else marks_file(settings)
        self._marks: Marks = {}
        self._looked = -math.inf
        self.traffic = Traffic(chance, load_measures(file), self._standing, threading.Lock())
        self.keeper = Keeper(file, self.traffic.take_fresh)
        self.process = os.getpid()
        """Whose they are: a child that was forked makes its own, since a lock may be held in here."""

    def close(self) -> None:
        """Keep what was measured."""
        self.keeper.end()

    def _standing(self, now: float) -> Marks:
        """Return the marks that stand, from the file as it was a moment ago."""
        if now - self._looked >= _LOOK_AGAIN:
            self._looked = now
            try:
                self._marks = marks.standing(load_marks(self._marks_file), now)
            except InvalidResponseError as error:
                warnings.warn(f"{error.message} Until then no mark counts.", stacklevel=2)
                self._marks = {}
        return self._marks


class RoutedChat:
    """One chat with a route."""

    def __init__(
        self,
        calls: Calls,
        model: str,
        messages: Messages,
        given: Mapping[str, Any],
        policy: Policy,
        *,
        whole: bool,
    ) -> None:
        """Check what was given; raises InvalidInputError. `whole`: nothing is delivered before its end."""
        check_parameters(given)
        from trunkline.calls import checked_deadline, parsed_model  # it makes these

        self._calls = calls
        self._given = given = _with_schemas(given)
        self._messages = prepare_messages(messages)
        self._began = time.monotonic()
        api_base = given.get("api_base") or calls.defaults.api_base
        parsed = parsed_model(model, api_base)
        secret, explicit = calls.secret(given, parsed)
        own_key = is_own(secret, given.get("direct", calls.defaults.direct), explicit=explicit)
        self._servers_key = own_key and api_base is not None
        """Whether the credential is for the server at `api_base` and nobody else."""
        self._account = Account(secret, given.get("bill_to") or calls.defaults.bill_to)
        self._asked = Asked(
            model=model,
            parsed=parsed,
            policy=policy,
            api_base=api_base,
            account=account_of(secret, self._account.bill_to),
            own_key=own_key and api_base is None,
            alone=self._servers_key and not calls.finds_token,
            refused=_refused(given),
        )
        self._hold = _hold_of(policy, whole=whole)
        self._whole = whole
        self._timeouts = timeouts_from(given.get("timeout"), calls.defaults.timeouts)
        self._deadline = checked_deadline(given.get("deadline", calls.defaults.deadline))
        self.needs_catalog = needs_catalog(self._asked)
        """Whether the router's list has to be at hand; else what is kept of it will do."""

    @property
    def catalog_seconds(self) -> float:
        """How long the router's list is waited for: what is kept of it stands in soon enough."""
        if self._deadline is None:
            return _LIST_SECONDS
        return min(_LIST_SECONDS, self._deadline / 2)

    @property
    def journey(self) -> Journey[Chat]:
        """The call as its caller made it, for whoever keeps a record of it."""
        given = self._given
        chat = Chat(
            model=self._asked.parsed,
            messages=self._messages,
            parameters={name: given[name] for name in BODY_NAMES & given.keys()},
            stream=not self._whole,
        )
        retry, maps = Retry(0, random.random), self._calls.maps
        return Journey(chat, retry, self._began, maps, account=self._account)

    def trip(self, catalog: Catalog) -> Trip[Opened]:
        """Return the trip, for whose places `catalog` is asked; raises InvalidInputError."""
        calls, given, asked = self._calls, self._given, self._asked
        found, notes = stops(asked, catalog)
        if catalog.trouble is not None and self.needs_catalog:
            notes = (*notes, f"Numbers are from {catalog.source}: {catalog.trouble}")
        stop_of = {stop.option.name: stop for stop in found}
        session = given.get("session_id") or calls.defaults.session_id or given.get("user")
        limit = given.get("max_retries")
        now = time.monotonic()
        return Trip(
            policy=asked.policy,
            options=tuple(stop.option for stop in found),
            wanted=wanted_of(self._messages, given, session),
            traffic=calls.roads.traffic,
            leg=leg_of(lambda option: self._at(stop_of[option.name]), self._hold),
            result=Streams(),
            began=self._began,
            starts=now,
            end=math.inf if self._deadline is None else self._began + self._deadline,
            wall=time.time() - now,
            patience=self._began + self._timeouts.total,
            notes=notes,
            retries=(calls.defaults.max_retries if limit is None else limit) > 0,
        )

    def _at(self, stop: Stop) -> tuple[Journey[Chat], Target]:
        """Return the call as a place takes it; raises UnsupportedParamsError for what it does not."""
        calls = self._calls
        api_base = self._asked.api_base if stop.served else None
        found = self._servers_key and not stop.served
        told = _without_key(self._given) if found else self._given
        journey, target = calls.chat_at(
            stop.model, api_base, self._messages, told, stream=True, found=found
        )
        call = journey.call
        if self._whole:  # as long as an attempt may take that is not read as a stream
            longest = min(call.timeouts.stream, call.timeouts.total)
            limits = msgspec.structs.replace(call.timeouts, stream=longest)
            call = msgspec.structs.replace(call, timeouts=limits)
        once = Retry(0, random.random)
        return msgspec.structs.replace(journey, call=call, retry=once, began=self._began), target


def _with_schemas(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a call whose tools are told as they are sent; raises InvalidInputError."""
    if not given.get("tools"):
        return given
    from trunkline.tools import tool_schemas  # loads inspection code that few calls need

    return {**given, "tools": tool_schemas(given["tools"])}


def _hold_of(policy: Policy, *, whole: bool) -> Hold | None:
    if whole:
        return Hold()
    return Hold(policy.hold_tokens, policy.hold_seconds) if policy.on_cut == "hold" else None


def _refused(given: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    """Return which parameters of a call which provider does not take."""
    if given.get("drop_params"):
        return {}
    names = {name for name, value in given.items() if value is not None}
    return {
        row.name: frozenset(names & row.chat_refuses)
        for row in PROVIDERS.values()
        if names & row.chat_refuses
    }


def _without_key(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a call without the key of a server of one's own, which goes nowhere else."""
    return {name: value for name, value in given.items() if name not in ("token", "api_key")}
