"""What the maker of calls does about routes: little, so that calls without one load nothing of them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from trunkline import interposed
from trunkline.errors import InvalidInputError
from trunkline.providers.engines import Seekers
from trunkline.routing.ask import Ask
from trunkline.routing.carry import Flow
from trunkline.settings import Settings
from trunkline.types import Messages
from trunkline.types.route import RouteLike

if TYPE_CHECKING:
    from trunkline.calls import Calls
    from trunkline.routed import Roads, RoutedChat
    from trunkline.routing.policy import Policy


class RoutedCalls:
    """Calls with routes, and what they know together."""

    settings: Settings

    def __init__(self) -> None:
        """Know nothing yet."""
        self._roads: Roads | None = None

    @property
    def seekers(self) -> Seekers:
        """What is remembered between calls of where tasks are served."""
        raise NotImplementedError

    @property
    def roads(self) -> Roads:
        """What calls with routes know together; while a test records or replays, each for itself.

        When a call is made would count else: a place that has just failed is not asked for a while.
        """
        from trunkline.routed import Roads  # calls without a route do without it

        if interposed.present() is not None:
            return Roads(self.settings, apart=True)
        roads = self._roads
        if roads is None or roads.process != os.getpid():
            roads = self._roads = Roads(self.settings)
        return roads

    def close(self) -> None:
        """Keep what is to be kept."""
        if self._roads is not None:
            self._roads.close()

    def task_flow(self, ask: Ask[Any]) -> Flow[Any]:
        """Return what carries out a call of a task; raises InvalidInputError."""
        from trunkline.routing.task_flow import ask_flow  # loads what chats need none of

        return self.flow_of(ask, lambda one: ask_flow(one, self.seekers))

    def flow_of(self, ask: Ask[Any], carried: Callable[[Ask[Any]], Flow[Any]]) -> Flow[Any]:
        """Return what carries out a call by `carried`, along its route where it has one."""
        if ask.route is None:
            return carried(ask)
        if ask.what != "call":
            raise InvalidInputError("A job stays where it is.", hint="Leave route= out.")
        from trunkline.routes import account_of  # calls without a route do without it
        from trunkline.routing.task_route import Road, routed_ask

        account = account_of(ask.places.secret, ask.places.bill_to)
        wall = time.time() - time.monotonic()
        return routed_ask(ask, Road(ask.route, self.roads.traffic, account, wall), carried)


def routed_chat(
    calls: Calls, model: str, messages: Messages, given: Mapping[str, Any], *, whole: bool
) -> RoutedChat | None:
    """Return a chat with a route; None where neither the call nor the client has one.

    Raises InvalidInputError before anything is sent.
    """
    route = given.get("route")
    policy = calls.defaults.route if route is None else policy_of(route)
    if policy is None:
        return None
    from trunkline.routed import RoutedChat  # calls without a route do without it

    return RoutedChat(calls, model, messages, given, policy, whole=whole)


def policy_of(route: RouteLike | None) -> Policy | None:
    """Read what a caller gave as `route=`; raises InvalidInputError."""
    if route is None:
        return None
    # calls without a route do without it
    from trunkline.routing.policy import in_small_letters, read_policy

    return in_small_letters(read_policy(route))
