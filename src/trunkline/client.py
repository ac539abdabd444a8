"""Clients: each owns its settings and its connections, blocking or awaiting."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack, overload

from trunkline import drive
from trunkline.answers import AnswerMethods, AsyncAnswerMethods
from trunkline.calls import watched
from trunkline.catalog_methods import AsyncCatalogMethods, CatalogMethods
from trunkline.client_options import calls_with
from trunkline.faces import Asking, P, R
from trunkline.interposed import seen, seen_async
from trunkline.log_settings import LogWish
from trunkline.providers.spec import Target
from trunkline.routed_calls import routed_chat
from trunkline.routed_methods import AsyncRoutedMethods, RoutedMethods
from trunkline.routing.carry import Flow
from trunkline.routing.flow import Opened, chat_flow, stream_flow
from trunkline.settings import Settings
from trunkline.streams import AsyncStream, Stream
from trunkline.task_methods import AsyncTaskMethods, TaskMethods
from trunkline.transport.seam import AsyncTransport, Transport
from trunkline.transport.switch import AsyncSwitch, Switch
from trunkline.types import Completion, Messages, Timeouts
from trunkline.types.parameters import ChatParameters
from trunkline.types.route import RouteLike
from trunkline.wire.message import Url

if TYPE_CHECKING:
    from trunkline.catalog import Catalog

T = TypeVar("T")


class Client(AnswerMethods, TaskMethods, CatalogMethods, RoutedMethods):
    """A blocking client: plain sockets, no thread, no event loop.

    Safe to share between threads and to use after a fork. A context manager.
    """

    def __init__(
        self,
        token: str | None = None,
        *,
        api_key: str | None = None,
        api_base: str | None = None,
        direct: bool | None = None,
        bill_to: str | None = None,
        session_id: str | None = None,
        extra_headers: Mapping[str, str] | None = None,
        timeout: float | Timeouts | None = None,
        deadline: float | None = None,
        max_retries: int = 2,
        log: LogWish = None,
        log_content: bool | None = None,
        route: RouteLike | None = None,
        ca_file: str | None = None,
        settings: Settings | None = None,
        transport: Transport | None = None,
    ) -> None:
        """Set defaults for every call; a call's own keywords come first.

        `token` is a Hugging Face token or a provider's key; without it the environment and the
        login of `hf auth login` are looked at, for each call. `timeout` and `deadline` are in
        seconds. `route` is the route of chats that name none. `log` logs calls to a SQLite file, a
        path or with True the usual one, `log_content` with what was asked and answered; without
        them the settings decide. `ca_file` is a PEM file of authorities to trust instead of the
        system's. `settings` replaces what the environment says, `transport` what moves the bytes.
        """
        self._calls = calls_with(
            token,
            settings,
            api_key=api_key,
            api_base=api_base,
            direct=direct,
            bill_to=bill_to,
            session_id=session_id,
            extra_headers=extra_headers,
            timeout=timeout,
            deadline=deadline,
            max_retries=max_retries,
            log=log,
            log_content=log_content,
            route=route,
        )
        self._ca_file = ca_file
        self._transports: dict[str, Transport] = {} if transport is None else {"net": transport}

    def __enter__(self) -> Self:
        """Return the client."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the client."""
        self.close()

    def close(self) -> None:
        """Close every connection, those of streams that are still open included."""
        self._calls.close()
        for transport in list(self._transports.values()):
            transport.close()
        self._calls.flush()

    @overload
    def chat(
        self,
        model: str,
        messages: Messages,
        *,
        response_model: None = None,
        **parameters: Unpack[ChatParameters],
    ) -> Completion: ...
    @overload
    def chat(
        self,
        model: str,
        messages: Messages,
        *,
        response_model: type[T],
        repair_rounds: int = 0,
        **parameters: Unpack[ChatParameters],
    ) -> T: ...
    def chat(
        self,
        model: str,
        messages: Messages,
        *,
        response_model: Any = None,
        repair_rounds: int = 0,
        **parameters: Any,
    ) -> Any:
        """Chat with a model and return its whole answer.

        With `response_model` (a msgspec Struct, dataclass, TypedDict or pydantic model) the answer
        is validated and returned as that type; one that does not fit raises OutputValidationError
        with its raw text, after `repair_rounds` further tries. Raises APIError.
        """
        if response_model is None:
            routed = routed_chat(self._calls, model, messages, parameters, whole=True)
            if routed is not None:
                return self._routed(routed).collect()
            journey, target = self._calls.chat(model, messages, parameters, stream=False)
            note = self._calls.note(journey)
            return self._run(watched(chat_flow(journey, target), note), target)
        from trunkline.structured import structured_chat  # loads schema code few calls need

        deadline = parameters.get("deadline", self._calls.defaults.deadline)
        asking = structured_chat(response_model, messages, parameters, repair_rounds, deadline)
        try:
            ask = next(asking)
            while True:
                ask = asking.send(self.chat(model, ask.messages, **ask.parameters))
        except StopIteration as end:
            return end.value

    def stream(
        self, model: str, messages: Messages, **parameters: Unpack[ChatParameters]
    ) -> Stream:
        """Chat with a model and return its answer as it is written; raises as `chat`."""
        routed = routed_chat(self._calls, model, messages, parameters, whole=False)
        if routed is not None:
            return self._routed(routed)
        journey, target = self._calls.chat(model, messages, parameters, stream=True)
        note = self._calls.note(journey)
        flow = watched(stream_flow(journey, target), note, opens=True)
        return Stream(self._run(flow, target), note)

    def carry_out(self, asking: Asking[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Carry out a call of a task; the methods above are this with a task's name."""
        ask = asking(self._calls, *args, **kwargs)
        note = self._calls.note(ask.journey, ask.what)
        flow = watched(self._calls.task_flow(ask), note)
        result = drive.run(flow, Switch(self._line), self._calls.renew)
        return result if ask.finish is None else ask.finish(result)

    def catalog(self, *, offline: bool = False) -> Catalog:
        """Return what the router tells of its models, at most an hour old.

        Without the network, or with `offline`, what was kept or shipped stands in and says so.
        """
        catalogs = self._calls.catalogs
        if offline:
            return catalogs.offline(self._calls.settings)
        return catalogs.read(self._transport_of("net"), self._calls.settings)

    def _line(self, url: Url) -> Transport:
        return self._transport_of("sandbox" if url.scheme == "sandbox" else "net")

    def _run(self, flow: Flow[T], target: Target) -> T:
        return drive.run(flow, self._transport_to(target), self._calls.renew)

    def _transport_to(self, target: Target) -> Transport:
        return self._transport_of("sandbox" if target.via == "sandbox" else "net")

    def _transport_of(self, place: str) -> Transport:
        found = self._transports.get(place)
        if found is None:  # of two threads that come first, the second takes what the first made
            found = self._transports.setdefault(place, self._new_transport(place))
        return seen(found)

    def _new_transport(self, place: str) -> Transport:
        if place == "sandbox":
            from trunkline.sandbox.inprocess import InProcessTransport  # few programs need it

            return InProcessTransport()
        from trunkline.transport.blocking import BlockingTransport  # not for sandbox-only use

        return BlockingTransport(proxies=self._calls.settings.proxies, ca_file=self._ca_file)


class AsyncClient(AsyncAnswerMethods, AsyncTaskMethods, AsyncCatalogMethods, AsyncRoutedMethods):
    """Client, awaiting: `await client.chat(...)`, `async for chunk in client.stream(...)`.

    Usable from any number of event loops, each of which gets its own connections.
    """

    def __init__(
        self,
        token: str | None = None,
        *,
        api_key: str | None = None,
        api_base: str | None = None,
        direct: bool | None = None,
        bill_to: str | None = None,
        session_id: str | None = None,
        extra_headers: Mapping[str, str] | None = None,
        timeout: float | Timeouts | None = None,
        deadline: float | None = None,
        max_retries: int = 2,
        log: LogWish = None,
        log_content: bool | None = None,
        route: RouteLike | None = None,
        ca_file: str | None = None,
        settings: Settings | None = None,
        transport: AsyncTransport | None = None,
    ) -> None:
        """Set defaults for every call, as Client does."""
        self._calls = calls_with(
            token,
            settings,
            api_key=api_key,
            api_base=api_base,
            direct=direct,
            bill_to=bill_to,
            session_id=session_id,
            extra_headers=extra_headers,
            timeout=timeout,
            deadline=deadline,
            max_retries=max_retries,
            log=log,
            log_content=log_content,
            route=route,
        )
        self._ca_file = ca_file
        self._transports: dict[str, AsyncTransport] = (
            {} if transport is None else {"net": transport}
        )

    async def __aenter__(self) -> Self:
        """Return the client."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the client."""
        await self.close()

    async def close(self) -> None:
        """Close every connection, those of streams that are still open included."""
        self._calls.close()
        for transport in list(self._transports.values()):
            transport.close()
        if self._calls.is_logging:
            import asyncio  # which whoever awaits this has loaded

            await asyncio.to_thread(self._calls.flush)

    aclose = close

    @overload
    async def chat(
        self,
        model: str,
        messages: Messages,
        *,
        response_model: None = None,
        **parameters: Unpack[ChatParameters],
    ) -> Completion: ...
    @overload
    async def chat(
        self,
        model: str,
        messages: Messages,
        *,
        response_model: type[T],
        repair_rounds: int = 0,
        **parameters: Unpack[ChatParameters],
    ) -> T: ...
    async def chat(
        self,
        model: str,
        messages: Messages,
        *,
        response_model: Any = None,
        repair_rounds: int = 0,
        **parameters: Any,
    ) -> Any:
        """Chat with a model and return its whole answer, as Client.chat does."""
        if response_model is None:
            routed = routed_chat(self._calls, model, messages, parameters, whole=True)
            if routed is not None:
                return await self._routed(routed).collect()
            journey, target = self._calls.chat(model, messages, parameters, stream=False)
            note = self._calls.note(journey)
            return await self._run(watched(chat_flow(journey, target), note), target)
        from trunkline.structured import structured_chat  # loads schema code few calls need

        deadline = parameters.get("deadline", self._calls.defaults.deadline)
        asking = structured_chat(response_model, messages, parameters, repair_rounds, deadline)
        try:
            ask = next(asking)
            while True:
                ask = asking.send(await self.chat(model, ask.messages, **ask.parameters))
        except StopIteration as end:
            return end.value

    def stream(
        self, model: str, messages: Messages, **parameters: Unpack[ChatParameters]
    ) -> AsyncStream:
        """Chat with a model and return its answer as it is written.

        The stream opens when it is awaited, entered or iterated; bad input raises at once.
        """
        routed = routed_chat(self._calls, model, messages, parameters, whole=False)
        if routed is not None:
            return self._routed(routed)
        journey, target = self._calls.chat(model, messages, parameters, stream=True)

        note = self._calls.note(journey)

        def open_stream() -> Awaitable[Opened]:
            return self._run(watched(stream_flow(journey, target), note, opens=True), target)

        return AsyncStream(open_stream, note)

    async def carry_out(self, asking: Asking[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Carry out a call of a task; the methods above are this with a task's name."""
        ask = asking(self._calls, *args, **kwargs)
        note = self._calls.note(ask.journey, ask.what)
        flow = watched(self._calls.task_flow(ask), note)
        result = await drive.run_async(flow, AsyncSwitch(self._line), self._calls.renew)
        return result if ask.finish is None else ask.finish(result)

    async def catalog(self, *, offline: bool = False) -> Catalog:
        """Return what the router tells of its models, as Client.catalog does."""
        catalogs = self._calls.catalogs
        if offline:
            return catalogs.offline(self._calls.settings)
        return await catalogs.aread(self._transport_of("net"), self._calls.settings)

    def _line(self, url: Url) -> AsyncTransport:
        return self._transport_of("sandbox" if url.scheme == "sandbox" else "net")

    async def _run(self, flow: Flow[T], target: Target) -> T:
        return await drive.run_async(flow, self._transport_to(target), self._calls.renew)

    def _transport_to(self, target: Target) -> AsyncTransport:
        return self._transport_of("sandbox" if target.via == "sandbox" else "net")

    def _transport_of(self, place: str) -> AsyncTransport:
        found = self._transports.get(place)
        if found is None:  # of two threads that come first, the second takes what the first made
            found = self._transports.setdefault(place, self._new_transport(place))
        return seen_async(found)

    def _new_transport(self, place: str) -> AsyncTransport:
        if place == "sandbox":
            from trunkline.sandbox.inprocess import AsyncInProcessTransport  # as above

            return AsyncInProcessTransport()
        from trunkline.transport.aio import AioTransport  # asyncio is slow to load

        return AioTransport(proxies=self._calls.settings.proxies, ca_file=self._ca_file)
