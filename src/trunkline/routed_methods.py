"""How both clients carry a chat along its route."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from trunkline.calls import Calls, watched
from trunkline.routing.carry import Flow
from trunkline.routing.flow import Opened
from trunkline.streams import AsyncStream, Stream

if TYPE_CHECKING:
    from trunkline.catalog import Catalog
    from trunkline.routed import RoutedChat

T = TypeVar("T")


class RoutedMethods:
    """Chats with routes, blocking."""

    _calls: Calls

    def catalog(self, *, offline: bool = False) -> Catalog:
        """Return the router's catalog."""
        raise NotImplementedError

    def _drive(self, flow: Flow[T]) -> T:
        raise NotImplementedError

    def _routed(self, chat: RoutedChat) -> Stream:
        from trunkline.routing.chat_route import routed  # calls without a route do without it

        note = self._calls.note(chat.journey)
        trip = chat.trip(self.catalog(offline=not chat.needs_catalog))
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

    def _routed(self, chat: RoutedChat) -> AsyncStream:
        from trunkline.routing.chat_route import routed  # calls without a route do without it

        note = self._calls.note(chat.journey)

        async def open_stream() -> Opened:
            trip = chat.trip(await self.catalog(offline=not chat.needs_catalog))
            self._calls.roads.keeper.looked()
            return await self._drive(watched(routed(trip), note, opens=True))

        return AsyncStream(open_stream, note, self._drive)
