"""The route table: every path, who may ask for it, and what answers. What has no rule does not start.

Paths match exactly as they are sent; the rule is that of the row which a request was dispatched to.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Literal

import msgspec

from trunkline.gateway.access import Caller, Directory, may_be_new
from trunkline.gateway.client_ids import CLIENT_IDS, client_id
from trunkline.gateway.exchange import Exchange
from trunkline.gateway.refusals import Fault, tell
from trunkline.gateway.voices import ErrorBody
from trunkline.store.records import Reach, Role
from trunkline.wire.http1_serve import Head

Rule = Literal["public", "key", "viewer", "staff"]
"""`public`: anybody. `key`: any live key whose scope has the endpoint. `viewer`: a viewer or an admin.
`staff`: any role but `caller`; the admin API's own table then decides."""
Serve = Callable[[Exchange], None]
Admit = Callable[[Exchange], Fault | None]
"""Looks at a request's head and says what is wrong with it."""
Hold = Callable[[Exchange], bool]
"""Holds a request until its key was looked for; False where it is not to be held."""
ANONYMOUS_BYTES = 64 * 1024
_ROLES: dict[Rule, frozenset[Role]] = {
    "viewer": frozenset({"viewer", "admin"}),
    "staff": frozenset({"viewer", "team-admin", "admin"}),
}
_NO_KEY = (
    "No valid key was given. Send `Authorization: Bearer <key>` with a key that is live; "
    "the gateway's operator gives them out."
)
_NO_API_KEY = _NO_KEY.replace("` with", "` or `x-api-key: <key>` with")


_FAULT = Fault(500, "internal_error", "The gateway failed; its log says how. Try again.")
_ONCE = b"idempotency-key"
_RARE = frozenset({_ONCE, *CLIENT_IDS})
_log = logging.getLogger(__name__)


class Page(msgspec.Struct, frozen=True):
    """One row."""

    method: str
    path: str
    rule: Rule
    serve: Serve
    endpoint: Reach | None = None
    """The name by which a key's scope knows it."""
    below: bool = False
    """Whether every path below is meant, too."""
    body: int = 0
    """Bytes that a body may have."""
    error_body: ErrorBody | None = None
    """Writes errors as the API of this path has them; None writes OpenAI's."""
    api_key: bool = False
    """Whether its clients may send their key as `x-api-key`."""
    id_header: bytes = b""
    """The header in which its clients look for the request's id, beside `x-request-id`."""
    pieces: bool = False
    """Whether it takes a body in pieces: one with files, that nobody needs to have in one."""


class _Known(msgspec.Struct, frozen=True, gc=False):
    """How a request with this head was dispatched, and who it was from, in one reading of the keys."""

    page: Page
    caller: Caller
    generation: int


class Pages:
    """Dispatches requests. It is the edge's application."""

    def __init__(
        self,
        pages: Iterable[Page],
        directory: Directory,
        refused: Callable[[str], None],
        once: Admit | None = None,
        hold: Hold | None = None,
    ) -> None:
        """Take the table; raises ValueError for a row whose rule is none.

        `once` is asked about requests that name themselves (`Idempotency-Key`), `hold` about those
        whose key is unknown.
        """
        self._directory = directory
        self._refused = refused
        self._once = once
        self._hold = hold
        self._exact: dict[tuple[bytes, bytes], Page] = {}
        self._below: list[tuple[bytes, bytes, Page]] = []
        self._shapes: list[tuple[bytes, Page]] = []
        """Pages whose clients are told errors in their own way, by what paths of that API begin with."""
        for page in pages:
            self._add(page)

    def _add(self, page: Page) -> None:
        if page.rule not in ("public", "key", "viewer", "staff"):
            raise ValueError(f"{page.method} {page.path} has no rule that says who may ask for it")
        if page.rule == "key" and page.endpoint is None:
            raise ValueError(f"{page.method} {page.path} has no endpoint for the scopes of keys")
        method, path = page.method.encode(), page.path.encode()
        if page.error_body is not None:
            self._shapes.append((path + b"/", page))
        for spelt in (method, b"HEAD") if method == b"GET" else (method,):
            if page.below:
                self._below.append((spelt, path + b"/", page))
            else:
                self._exact[spelt, path] = page

    def rows(self) -> list[Page]:
        """Return the table."""
        return list(
            {id(p): p for p in (*self._exact.values(), *(b[2] for b in self._below))}.values()
        )

    # called by the edge

    def admit(self, exchange: Exchange) -> int | None:
        """Dispatch a request by its head and decide whether it may; returns its body's limit.

        None for one that is held, as its key may have been made elsewhere just now.
        """
        head = exchange.head
        known: _Known | None = head.known
        if known is not None and known.generation == self._directory.generation:
            caller = known.caller
            if caller.expires > exchange.connection.edge.wall:
                page = exchange.page = known.page
                exchange.caller = caller
                if page.id_header:
                    _label(exchange, page)
                return page.body
        return self._admit(exchange, head)

    def _admit(self, exchange: Exchange, head: Head) -> int | None:
        page = self._exact.get((head.method, head.path))
        if page is None:
            page = self._found_below(head.method, head.path)
            if page is None:
                self._no_page(exchange)
                return ANONYMOUS_BYTES
        exchange.page = page
        _label(exchange, page)
        if page.rule == "public":
            return page.body
        caller = self._caller(exchange)
        if caller is None:
            return None if self._held(exchange) else self._unknown(exchange)
        exchange.caller = caller
        if head.headers.get(b"content-encoding", b"identity").lower() != b"identity":
            self._packed(exchange)
        elif page.rule == "key":
            if not caller.may_reach(page.endpoint or ""):
                self._forbidden(exchange, f"This key is not for {page.endpoint}.")
            elif not _RARE.isdisjoint(head.headers):
                self._look_closer(exchange, head.headers)
            else:
                head.known = _Known(page, caller, self._directory.generation)
        elif caller.key.role not in _ROLES[page.rule]:
            self._forbidden(exchange, "This key's role does not allow it.")
        return page.body

    def call(self, exchange: Exchange) -> None:
        """Serve a request that is whole."""
        try:
            exchange.page.serve(exchange)
        except Exception:
            self._refused("fault")
            failed(exchange)

    def refused(self, reason: str) -> None:
        """Count what the edge refused itself."""
        self._refused(reason)

    def _caller(self, exchange: Exchange) -> Caller | None:
        headers, wall = exchange.head.headers, exchange.connection.edge.wall
        authorization = headers.get(b"authorization")
        if authorization is not None:
            return self._directory.find(authorization, wall)
        secret = headers.get(b"x-api-key") if exchange.page.api_key else None
        return None if secret is None else self._directory.find_secret(secret, wall)

    def _look_closer(self, exchange: Exchange, headers: dict[bytes, bytes]) -> None:
        """Look at headers that few requests have; how such a request is dispatched is not remembered."""
        fault: Fault | None = None
        own = client_id(headers)
        if isinstance(own, Fault):
            fault = own
        else:
            exchange.client_id = own
            if _ONCE in headers and self._once is not None:
                fault = self._once(exchange)
        if fault is not None:
            self._refused("request")
            tell(exchange, fault)

    def _found_below(self, method: bytes, path: bytes) -> Page | None:
        for of, start, page in self._below:
            if of == method and is_below(path, start):
                return page
        return None

    def _held(self, exchange: Exchange) -> bool:
        hold = self._hold
        return hold is not None and may_be_new(exchange.headers) and hold(exchange)

    def _unknown(self, exchange: Exchange) -> int:
        self._refused("auth")
        page = exchange.page
        message = _NO_API_KEY if page.api_key and page.error_body is not None else _NO_KEY
        query = exchange.head.query
        if b"authorization" not in exchange.headers and (b"key=" in query or b"token=" in query):
            message += " A key in the URL is not read, and may be in logs by now: replace it."
        tell(exchange, Fault(401, "invalid_api_key", message))
        return ANONYMOUS_BYTES

    def _forbidden(self, exchange: Exchange, message: str) -> None:
        self._refused("scope")
        tell(exchange, Fault(403, "not_allowed", message))

    def _packed(self, exchange: Exchange) -> None:
        self._refused("encoding")
        message = "Compressed bodies are not read here: send it without Content-Encoding."
        tell(exchange, Fault(415, "unsupported_encoding", message))

    def _no_page(self, exchange: Exchange) -> None:
        self._refused("path")
        path = exchange.head.path
        self._shape(exchange, path)
        methods = self._methods(path)
        if not methods:
            message = (
                "There is nothing here. /v1/chat/completions, /v1/models and others are served."
            )
            tell(exchange, Fault(404, "not_found", message))
            return
        exchange.labels += b"allow: %b\r\n" % ", ".join(methods).encode()
        tell(exchange, Fault(405, "method_not_allowed", f"Use {' or '.join(methods)} here."))

    def _shape(self, exchange: Exchange, path: bytes) -> None:
        """Have an error told as the API has it that the path belongs to: the nearest above it."""
        found = [(start, page) for start, page in self._shapes if (path + b"/").startswith(start)]
        if found:
            page = exchange.page = max(found, key=lambda row: len(row[0]))[1]
            _label(exchange, page)

    def _methods(self, path: bytes) -> list[str]:
        """Return the methods of what is at a path."""
        exact = [method for method, at in self._exact if at == path]
        below = [method for method, start, _ in self._below if is_below(path, start)]
        return [method.decode() for method in exact or below]


def failed(exchange: Exchange) -> None:
    """Answer for a fault of our own; it is the exception that is being handled, and goes to the log."""
    _log.exception("a page failed", extra={"request_id": exchange.id})
    tell(exchange, _FAULT, keep=False)


def _label(exchange: Exchange, page: Page) -> None:
    if page.id_header:
        exchange.labels += b"%b: %b\r\n" % (page.id_header, exchange.id.encode())


def is_below(path: bytes, start: bytes) -> bool:
    """Tell whether a path is one of those that begin with `start`, which ends in a slash."""
    return path.startswith(start) and len(path) > len(start)
