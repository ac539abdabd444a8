"""A route on the command line: the options of which `trunkline plan` and `replay` make a policy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from trunkline.wire import strict_json

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS: tuple[tuple[str, str, str, str], ...] = (
    ("--route", "route", "WORD|A,B|JSON",
     "fastest, cheapest, balanced, sticky; places in their order; or a route's fields as JSON."),
    ("--by", "by", "WHAT", "first_token or throughput, for fastest and balanced."),
    ("--needs", "needs", "A,B", "What must be known to work: tools, vision, json_schema, ..."),
    ("--allow", "allow", "A,B", "Only these providers."),
    ("--deny", "deny", "A,B", "Not these."),
    ("--regions", "regions", "A,B", "Only providers known to be there: eu."),
    ("--fallbacks", "fallbacks", "A,B", "Models to ask once every place of this one has failed."),
    ("--max-price", "max_price", "DOLLARS", "For a million tokens, in and out."),
    ("--max-input-price", "max_input_price", "DOLLARS", "For a million tokens in."),
    ("--min-context", "min_context", "N", "Tokens that the context has to hold."),
)  # fmt: skip
_LISTS = frozenset({"needs", "allow", "deny", "regions", "fallbacks"})
_COUNTS = frozenset({"min_context"})


def route_options(function: F) -> F:
    """Add the options of a route."""
    for option, name, metavar, told in reversed(_OPTIONS):
        kind = click.IntRange(1) if name in _COUNTS else click.STRING
        function = click.option(option, name, type=kind, metavar=metavar, help=told)(function)
    return function


def read_route(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of the route that the options ask for; none where there are none."""
    fields = _written(given.get("route"))
    for _, name, _, _ in _OPTIONS[1:]:
        value = given.get(name)
        if value is not None:
            fields[name] = _names(value) if name in _LISTS else value
    if fields and not fields.keys() & {"order", "places"}:
        fields["order"] = "fastest"
    return fields


def _written(route: str | None) -> dict[str, Any]:
    """Read a policy's word, places with commas, or JSON."""
    if route is None:
        return {}
    text = route.strip()
    if text.startswith("{"):
        try:
            read = strict_json.decode(text.encode())
        except strict_json.JsonError as error:
            raise click.BadParameter(f"--route is no JSON: {error}.") from error
        return dict(read)
    if text in ("fixed", "fastest", "cheapest", "balanced", "weighted", "sticky"):
        return {"order": text}
    if "," in text or "/" in text:
        return {"places": _names(text)}
    from trunkline.providers.table import PROVIDERS  # only to tell a provider from a typing error

    return {"places": [text]} if text in PROVIDERS else {"order": text}


def _names(text: str) -> list[str]:
    return [part for part in (one.strip() for one in text.split(",")) if part]
