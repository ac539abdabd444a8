"""The admin API as an ASGI application, built, and Starlette loaded, by its first request.

Who may do what is decided by the row that the exact path was dispatched to, and nowhere else.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any

from trunkline.gateway.admin.answers import as_response, error_response, refusal_of
from trunkline.gateway.admin.parts import AdminParts
from trunkline.gateway.admin.reading import read_body, read_query
from trunkline.gateway.admin.table import Row, Visit
from trunkline.gateway.lifespan import AsgiApp, Receive, Scope, Send
from trunkline.gateway.wishes import RefusedError
from trunkline.store.seam import StoreError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

_log = logging.getLogger(__name__)
Endpoint = Callable[["Request"], Awaitable["Response"]]


class AdminApp:
    """The application; call it with scope, receive and send."""

    def __init__(self, parts: AdminParts) -> None:
        """Nothing is loaded yet."""
        self._parts = parts
        self._built: AsgiApp | None = None
        self._building = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the lifespan."""
        if self._built is None:
            async with self._building:
                # in a thread: calls in flight must not wait for Starlette to be loaded
                if self._built is None:
                    self._built = await asyncio.to_thread(build, self._parts)
        await self._built(scope, receive, send)


def build(parts: AdminParts, rows: Iterable[Row] | None = None) -> AsgiApp:
    """Return the application that serves `rows`, the whole table if none are given."""
    from starlette.applications import Starlette  # slow to load, and rarely needed
    from starlette.exceptions import HTTPException
    from starlette.routing import Route

    from trunkline.gateway.admin.routes import ROUTES

    served = tuple(ROUTES if rows is None else rows)
    endpoints = _Endpoints(parts, served)
    routes: list[Any] = []
    for path in dict.fromkeys(row.path for row in served):
        methods = [row.method for row in served if row.path == path]
        route = Route(path, endpoints.at(path), methods=methods)
        route.methods = set(methods)  # Starlette adds HEAD, which no row has
        routes.append(route)
    handlers: Any = {HTTPException: _not_served, Exception: _failed}
    app = Starlette(routes=routes, exception_handlers=handlers)
    app.router.redirect_slashes = False
    return _only_known(app)


def _only_known(app: AsgiApp) -> AsgiApp:
    """Turn away whoever the edge does not know, whatever they ask for."""

    async def known(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            error = None
            if scope.get("state", {}).get("caller") is None:
                error = RefusedError("A key is needed here.", status=401, code="invalid_api_key")
            elif not scope["path"].isprintable():
                error = RefusedError("There is nothing here.", status=404, code="not_found")
            if error is not None:
                await error_response(error)(scope, receive, send)
                return
        await app(scope, receive, send)

    return known


class _Endpoints:
    """What answers the requests that were dispatched to a path."""

    def __init__(self, parts: AdminParts, rows: tuple[Row, ...]) -> None:
        self._parts = parts
        self._rows = rows
        self._changing = asyncio.Lock()

    def at(self, path: str) -> Endpoint:
        """Return the endpoint of one path."""
        rows = {row.method: row for row in self._rows if row.path == path}

        async def endpoint(request: Request) -> Response:
            row = rows[request.method]  # type: ignore[index]  # Starlette lets no other method pass
            try:
                return await self._answer(row, request)
            except (RefusedError, StoreError) as error:
                return error_response(refusal_of(error, request.state.request_id))

        return endpoint

    async def _answer(self, row: Row, request: Request) -> Response:
        caller = request.state.caller.key
        if caller.role not in row.roles:
            roles = ", ".join(row.roles)
            message = f"This is for keys with the roles {roles}; yours has {caller.role!r}."
            raise RefusedError(message, status=403, code="not_allowed")
        visit = Visit(
            parts=self._parts,
            rows=self._rows,
            caller=caller,
            now=self._parts.clock(),
            path=dict(request.path_params),
            query=read_query(request.url.query, row.query),
            body=read_body(await request.body(), row.body),
        )
        if not row.changes:
            return as_response(row, await _run(row, visit))
        async with self._changing:
            answer = await _run(row, visit)
        await self._parts.changed()
        _log.info("%s %s by %s %s", row.method, row.path, caller.id, sorted(visit.path.items()))
        return as_response(row, answer)


async def _run(row: Row, visit: Visit) -> Any:
    if inspect.iscoroutinefunction(row.answer):
        return await row.answer(visit)
    return await asyncio.to_thread(row.answer, visit)


async def _not_served(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 404)
    if status == 405:
        message = f"{request.method} is not for this address."
        refusal = RefusedError(message, status=405, code="method_not_allowed")
    else:
        refusal = RefusedError("There is nothing here.", status=status, code="not_found")
    return error_response(refusal, getattr(error, "headers", None))


async def _failed(request: Request, error: Exception) -> Response:
    return error_response(refusal_of(error, request.state.request_id))
