"""Sites whose scripts may call: what browsers are told, and only for the pages that callers' keys open.

A key is sent by a script itself, in `Authorization`, and no cookie is read anywhere, so that credentials
in the browsers' sense are never allowed. An origin that is not listed is told nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from fnmatch import translate

from trunkline.gateway.access import Directory
from trunkline.gateway.config import Cors
from trunkline.gateway.exchange import Exchange
from trunkline.gateway.pages import ANONYMOUS_BYTES, Admit, Hold, Page, Pages, is_below

EXPOSED = (
    "x-request-id",
    "request-id",
    "retry-after",
    "x-inference-provider",
    "idempotent-replayed",
    "x-original-request-id",
    "x-should-retry",
    *(
        f"x-ratelimit-{which}-{of}"
        for which in ("limit", "remaining", "reset")
        for of in ("requests", "tokens")
    ),
)
"""Headers of answers that scripts may read beside the few that browsers always show."""
_NAME = re.compile(rb"[a-z0-9!#$%&'*+.^_`|~-]{1,100}")
_MOST_NAMES = 64


class Sites:
    """The origins that are listed, and the header lines for them."""

    def __init__(self, config: Cors) -> None:
        """Take the configuration, which has been checked."""
        self._any = "*" in config.origins
        self._origins = frozenset(origin.encode() for origin in config.origins)
        self._methods = frozenset(config.methods)
        self._headers = re.compile(
            "|".join(translate(name.lower()) for name in config.headers).encode() or b"(?!)"
        )
        self._max_age = config.max_age_seconds
        exposed = b"access-control-expose-headers: %b\r\n" % ", ".join(EXPOSED).encode()
        self._exposed = exposed
        self._vary = b"" if self._any else b"vary: Origin\r\n"

    def lines(self, origin: bytes | None) -> bytes:
        """Return the lines of an answer to a request from an origin."""
        allowed = self._allowed(origin)
        return self._vary + (allowed and allowed + self._exposed)

    def preflight(self, origin: bytes, wanted: bytes, methods: Iterable[str]) -> bytes | None:
        """Return the lines that answer a browser's question; None for an origin that is not listed.

        `wanted` are the names of headers that it asks for, `methods` those of the page.
        """
        allowed = self._allowed(origin)
        if not allowed:
            return None
        names = [name.strip().lower() for name in wanted.split(b",")[:_MOST_NAMES]]
        fit = [n for n in names if _NAME.fullmatch(n) and self._headers.fullmatch(n)]
        lines = [
            allowed,
            b"access-control-allow-methods: %b\r\n"
            % ", ".join(sorted(self._methods.intersection(methods))).encode(),
            b"access-control-allow-headers: %b\r\n" % b", ".join(fit) if fit else b"",
            b"access-control-max-age: %d\r\n" % self._max_age,
            b"vary: %bAccess-Control-Request-Headers\r\n" % (b"" if self._any else b"Origin, "),
        ]
        return b"".join(lines)

    def _allowed(self, origin: bytes | None) -> bytes:
        if origin is None:
            return b""
        if self._any:
            return b"access-control-allow-origin: *\r\n"
        if origin not in self._origins:
            return b""
        return b"access-control-allow-origin: %b\r\n" % origin


class CrossOriginPages(Pages):
    """Pages that scripts of listed sites may ask; without such sites `Pages` is used, at no cost."""

    def __init__(
        self,
        pages: Iterable[Page],
        directory: Directory,
        refused: Callable[[str], None],
        once: Admit | None,
        hold: Hold | None,
        cors: Cors,
    ) -> None:
        """Take the table; what is not for callers' keys, the admin API above all, is as ever."""
        rows = list(pages)
        super().__init__(rows, directory, refused, once, hold)
        self._sites = Sites(cors)
        self._methods_at: dict[bytes, list[str]] = {}
        self._methods_below: dict[bytes, list[str]] = {}
        for page in rows:
            if page.rule == "key":
                known = self._methods_below if page.below else self._methods_at
                known.setdefault(page.path.encode(), []).append(page.method)

    def admit(self, exchange: Exchange) -> int | None:
        """Answer what a browser asks first, and label what a script asks."""
        head = exchange.head
        methods = self._open_methods(head.path)
        if methods is None:
            return super().admit(exchange)
        headers = head.headers
        origin = headers.get(b"origin")
        if head.method == b"OPTIONS" and origin and b"access-control-request-method" in headers:
            wanted = headers.get(b"access-control-request-headers", b"")
            lines = self._sites.preflight(origin, wanted, methods)
            if lines is not None:
                exchange.answer_bytes(204, lines, b"")
                return ANONYMOUS_BYTES
        exchange.labels += self._sites.lines(origin)
        return super().admit(exchange)

    def _open_methods(self, path: bytes) -> list[str] | None:
        """Return the methods of what callers' keys open at a path; None where that is nothing."""
        below = self._methods_below
        return self._methods_at.get(path) or next(
            (below[start] for start in below if is_below(path, start + b"/")), None
        )


def open_pages(
    pages: Iterable[Page],
    directory: Directory,
    refused: Callable[[str], None],
    once: Admit | None,
    hold: Hold | None,
    cors: Cors,
) -> Pages:
    """Return what dispatches requests, open to other sites only where some are listed."""
    if not cors.origins:
        return Pages(pages, directory, refused, once, hold)
    return CrossOriginPages(pages, directory, refused, once, hold, cors)
