"""How both clients carry a chat along its route, and plan one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

from trunkline.calls import Calls, watched
from trunkline.routing.carry import Flow
from trunkline.routing.flow import Opened
from trunkline.streams import AsyncStream, Stream
from trunkline.types.route import RouteLike

if TYPE_CHECKING:
    from trunkline.catalog import Catalog
    from trunkline.planning import Plan
    from trunkline.routed import RoutedChat
    from trunkline.transport.seam import AsyncTransport, Transport

T = TypeVar("T")


class RoutedMethods:
    """Chats with routes, blocking."""

    _calls: Calls

    def catalog(self, *, offline: bool = False) -> Catalog:
        """Return the router's catalog."""
        raise NotImplementedError

    def _drive(self, flow: Flow[T]) -> T:
        raise NotImplementedError

    def _transport_of(self, place: str) -> Transport:
        raise NotImplementedError

    def plan(
        self,
        model: str,
        *,
        route: RouteLike | None = None,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        session_id: str | None = None,
        offline: bool = False,
    ) -> Plan:
        """Return where a call would go now, at what price and how fast, and where if that fails.

        Nothing is sent but the question for the router's list, unless `offline`. Without `route` the
        client's counts, else the fastest. Raises InvalidInputError.
        """
        from trunkline import planning  # calls do without it

        wanted = {
            "input_tokens": input_tokens,
            "output_tokens": output_tokens,
            "session_id": session_id,
        }
        wish = planning.read_wish(self._calls, model, route, wanted)
        catalog = self.catalog(offline=offline)
        now, epoch = time.monotonic(), time.time()
        return planning.make_plan(wish, catalog, self._calls.roads.traffic, now, epoch)

    def _routed(self, chat: RoutedChat) -> Stream:
        from trunkline.routing.chat_route import routed  # calls without a route do without it

        note = self._calls.note(chat.journey)
        catalogs, settings = self._calls.catalogs, self._calls.settings
        if chat.needs_catalog:
            net = self._transport_of("net")
            catalog = catalogs.read(net, settings, seconds=chat.catalog_seconds)
        else:
            catalog = catalogs.offline(settings)
        trip = chat.trip(catalog)
        self._calls.roads.keeper.looked()
        return Stream(self._drive(watched(routed(trip), note, opens=True)), note, self._drive)


class AsyncRoutedMethods:
    """Chats with routes, awaiting."""

    _calls: Calls

    async def catalog(self, *, offline: bool = False) -> Catalog:
        """Return the router's catalog."""
        raise NotImplementedError

    async def _drive(self, flow: Flow[T]) -> T:
        raise NotImplementedError

    def _transport_of(self, place: str) -> AsyncTransport:
        raise NotImplementedError

    async def plan(
        self,
        model: str,
        *,
        route: RouteLike | None = None,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        session_id: str | None = None,
        offline: bool = False,
    ) -> Plan:
        """Return where a call would go now, as Client.plan does."""
        from trunkline import planning  # calls do without it

        wanted = {
            "input_tokens": input_tokens,
            "output_tokens": output_tokens,
            "session_id": session_id,
        }
        wish = planning.read_wish(self._calls, model, route, wanted)
        catalog = await self.catalog(offline=offline)
        now, epoch = time.monotonic(), time.time()
        return planning.make_plan(wish, catalog, self._calls.roads.traffic, now, epoch)

    def _routed(self, chat: RoutedChat) -> AsyncStream:
        from trunkline.routing.chat_route import routed  # calls without a route do without it

        note = self._calls.note(chat.journey)

        async def open_stream() -> Opened:
            catalogs, settings = self._calls.catalogs, self._calls.settings
            if chat.needs_catalog:
                net = self._transport_of("net")
                catalog = await catalogs.aread(net, settings, seconds=chat.catalog_seconds)
            else:
                catalog = catalogs.offline(settings)
            trip = chat.trip(catalog)
            self._calls.roads.keeper.looked()
            return await self._drive(watched(routed(trip), note, opens=True))

        return AsyncStream(open_stream, note, self._drive)
