"""What a configuration must say beyond its types: ranges, names, addresses. Pure; opens nothing."""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec

from trunkline.errors import InvalidInputError
from trunkline.gateway.config import Config, ContentConfig, Listen, Money
from trunkline.gateway.config_cors_rules import cors_problems
from trunkline.gateway.config_problems import Problem, Where, quoted
from trunkline.gateway.config_route_rules import rule_problems
from trunkline.gateway.config_store_rules import store_problems
from trunkline.gateway.config_upstream_rules import route_problems, upstream_problems
from trunkline.gateway.config_values import leaves
from trunkline.wire.message import parse_url

_YEAR = 365 * 86400
_HOST = re.compile(r"(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]*)(\.[A-Za-z0-9_-]+)*\.?")


class Bounds(msgspec.Struct, frozen=True):
    """The numbers that are allowed."""

    least: int
    """Of times and amounts: more than this is needed where it is 0."""
    most: int
    unit: str = ""


_BOUNDS = {
    "port": Bounds(0, 65535, " (0 takes a free one)"),
    "size": Bounds(0, 100_000, " calls"),
    "seconds": Bounds(0, _YEAR, " seconds"),
    "hours": Bounds(0, 876_000, " hours"),
    "days": Bounds(0, 36500, " days"),
    "bytes": Bounds(1, 2**40, " bytes"),
    "headers": Bounds(1, 10_000),
    "connections": Bounds(1, 1_000_000),
    "minute": Bounds(1, 10**9),
    "concurrency": Bounds(1, 1_000_000),
    "workers": Bounds(1, 256),
    "context": Bounds(1, 10**9, " tokens"),
    "input": Bounds(0, 1_000_000, " US dollars for a million tokens"),
    "output": Bounds(0, 1_000_000, " US dollars for a million tokens"),
    "request": Bounds(0, 1_000_000, " US dollars for a call"),
    "price": Bounds(0, 1_000_000, " US dollars for a million tokens"),
    "tokens": Bounds(1, 10**9, " tokens"),
    "reserve": Bounds(0, 1_000, " US dollars"),
}
"""By the last word of a key."""
_FREE = frozenset({"input", "output", "request", "price"})
"""Of the fractions, those that may be zero."""


def problems(config: Config) -> Iterator[Problem]:
    """Yield everything that is wrong with what the values say."""
    for where, value in leaves(config):
        if "weights" in where:
            continue  # what stands last is a target's name
        if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
            yield from _range(where, value)
        elif isinstance(value, str):
            yield from _text(where, value)
    yield from _listen(config.listen)
    yield from cors_problems(config.cors)
    yield from upstream_problems(config)
    yield from route_problems(config)
    yield from rule_problems(config)
    yield from store_problems(config.store)
    yield from _content(config.content)
    yield from _money(config.money)


def is_loopback(host: str) -> bool:
    """Tell whether a host can be reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost"


def _range(where: Where, value: float | Decimal) -> Iterator[Problem]:
    word = str(where[-1]).rpartition("_")[2]
    bounds = _BOUNDS.get(word)
    if bounds is None:
        return
    open_end = not isinstance(value, int) and bounds.least == 0 and word not in _FREE
    if (
        math.isfinite(value)
        and bounds.least <= value <= bounds.most
        and not (open_end and not value)
    ):
        return
    allowed = (
        f"more than 0 and at most {bounds.most}" if open_end else f"{bounds.least} to {bounds.most}"
    )
    yield Problem(where, f"is {str(value)[:40]}; allowed is {allowed}{bounds.unit}.")


def _text(where: Where, value: str) -> Iterator[Problem]:
    if not value.strip():
        yield Problem(where, "is empty. Give it a value, or leave it out.")
    elif not value.isprintable():
        yield Problem(where, "contains line breaks or control characters.")
    elif value != value.strip():
        yield Problem(where, "begins or ends with a space.")


def _listen(listen: Listen) -> Iterator[Problem]:
    if not _is_host(listen.host):
        yield Problem(
            ("listen", "host"),
            f"is {quoted(listen.host)}; allowed is an IP address or a host name alone, "
            "without brackets, port or http://.",
        )
    if listen.public_url is not None and not _is_address(listen.public_url):
        yield Problem(
            ("listen", "public_url"),
            "is no absolute http(s) URL without a query and without a user, "
            'such as "https://models.example.org".',
        )
    pair = (("tls_certificate", listen.tls_certificate), ("tls_key", listen.tls_key))
    for (name, value), (other, there) in (pair, pair[::-1]):
        if value is None and there is not None:
            yield Problem(("listen", name), f"is missing: {other} is set, and TLS needs both.")


def _is_address(text: str) -> bool:
    try:
        url = parse_url(text)
    except InvalidInputError:
        return False
    return "?" not in url.target


def _is_host(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return _HOST.fullmatch(host) is not None and not host.replace(".", "").isdigit()
    return True


def _content(content: ContentConfig) -> Iterator[Problem]:
    for at, pattern in enumerate(content.redact):
        where = ("content", "redact", at)
        try:
            compiled = re.compile(pattern)
        except (re.error, RecursionError, OverflowError) as error:
            said = str(error) if isinstance(error, re.error) else "it is too large"
            yield Problem(where, f"is no regular expression: {said}.")
            continue
        if compiled.fullmatch(""):
            yield Problem(where, "matches the empty text, and so would be found everywhere.")


def _money(money: Money) -> Iterator[Problem]:
    picos: Any = money.fixed_reserve.as_tuple().exponent
    if picos < -12:
        yield Problem(("money", "fixed_reserve"), "has more than 12 decimals.")
