"""From `route=` to a trip: which places there are for a call, and what each is told. No I/O.

Places are providers of the call's model; model strings of their own; and, with `api_base`, the server
there, which comes before all others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from trunkline import model_id
from trunkline.errors import InvalidInputError
from trunkline.model_id import ModelId
from trunkline.providers.table import PROVIDERS
from trunkline.routing.own_keys import OTHERS_KEY, SERVERS_KEY, no_server
from trunkline.routing.policy import Need, Policy
from trunkline.routing.ranking import Option, Wanted
from trunkline.routing.record import count_tokens
from trunkline.types import Completion, Secret
from trunkline.types.route import SERVER

if TYPE_CHECKING:
    from trunkline.catalog import Catalog, ModelEntry

_NUMBERS = ("fastest", "cheapest", "balanced")


class Stop(msgspec.Struct, frozen=True):
    """A place on a route, and how it is asked."""

    option: Option
    model: ModelId
    served: bool = False
    """Whether it is the server at `api_base`."""


class Asked(msgspec.Struct, frozen=True):
    """What decides which places there are for a call."""

    model: str
    parsed: ModelId
    policy: Policy
    api_base: str | None
    account: str
    """Whose calls they are, in a form that is no secret."""
    own_key: bool
    """Whether the credential is the provider's own that the model string names."""
    alone: bool = False
    """Whether the key is the server's at `api_base`, and there is no token for anybody else."""
    refused: Mapping[str, frozenset[str]] = {}
    """Parameters of the call that a provider does not take, by its name."""


def needs_catalog(asked: Asked) -> bool:
    """Tell whether prices, speeds or the list of providers have to be known."""
    policy = asked.policy
    if asked.parsed.scheme == "sandbox":
        return False
    limits = (policy.max_price, policy.max_input_price, policy.min_context, *policy.needs)
    if policy.order in _NUMBERS or any(limits):
        return True
    named = bool(policy.places) or asked.parsed.provider is not None or asked.api_base is not None
    return not named or any(_bare(name) for name in policy.fallbacks)


def stops(asked: Asked, catalog: Catalog) -> tuple[tuple[Stop, ...], tuple[str, ...]]:
    """Return the places of a call, and remarks on how they came about.

    Raises InvalidInputError for model strings that name none, and for fallbacks that lead back.
    """
    found: list[Stop] = []
    notes: list[str] = []
    policy, parsed = asked.policy, asked.parsed
    if SERVER in policy.places and asked.api_base is None:
        raise no_server()
    if parsed.policy is not None:
        raise InvalidInputError(
            f"The model string asks for {parsed.policy!r}, and the call has a route.",
            hint="Leave one of them out.",
        )
    if asked.api_base is not None:
        found.append(_server(asked))
    found += _own(asked, catalog, notes)
    for number, name in enumerate(policy.fallbacks, 1):
        found += _fallback(asked, name, number + (asked.api_base is not None), catalog, notes)
    made = _distinct(found)
    notes += _strangers(policy, catalog)
    return tuple(_with_bar(stop, asked) for stop in made), tuple(notes)


def wanted_of(
    messages: list[dict[str, Any]], parameters: Mapping[str, Any], session: str | None
) -> Wanted:
    """Return what a chat needs of a place; its input is counted roughly, four bytes a token."""
    counted = count_tokens(None, Completion(None, None, []), messages).input or 0
    tools = parameters.get("tools")
    if tools:
        counted += len(repr(tools)) // 4
    limit = parameters.get("max_completion_tokens") or parameters.get("max_tokens")
    return Wanted(counted, limit, _uses(messages, parameters), session or _conversation(messages))


def account_of(secret: Secret | None, bill_to: str | None) -> str:
    """Return whose calls they are, in a form that is no secret."""
    if secret is None:
        return ""
    text = f"{secret.value}\0{bill_to or ''}"
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def _server(asked: Asked) -> Stop:
    option = Option(SERVER, None, asked.parsed.name, account=asked.account)
    return Stop(option, asked.parsed, served=True)


def _own(asked: Asked, catalog: Catalog, notes: list[str]) -> list[Stop]:
    """Return the places of the call's own model."""
    policy, parsed = asked.policy, asked.parsed
    group = 0
    if asked.api_base is not None:
        if not policy.places:
            return []
        group = 1
        parsed = _routed(asked.model) if any(_bare(p) for p in policy.places) else parsed
    if parsed.scheme == "sandbox":
        return [Stop(Option("sandbox", "sandbox", parsed.name), parsed)]
    pinned = (parsed.provider,) if parsed.provider is not None else ()
    names = dict.fromkeys((*pinned, *(place for place in policy.places if place != SERVER)))
    if not names:
        return _offered(asked, parsed, catalog, notes, group)
    return [_named(asked, name, parsed, catalog, group) for name in names]


def _offered(
    asked: Asked, parsed: ModelId, catalog: Catalog, notes: list[str], group: int
) -> list[Stop]:
    """Return everybody who serves a model; where nobody is known, the router's own choice."""
    entry = catalog.find(parsed.name)
    if entry is None or not entry.providers:
        notes.append(
            f"The catalog ({catalog.source}) has no provider of {parsed.name}; the router chooses."
        )
        option = Option(str(parsed), None, parsed.name, account=asked.account, fallback=group)
        return [Stop(option, parsed)]
    return [_at(asked, offer.provider, parsed, entry, group) for offer in entry.providers]


def _named(asked: Asked, name: str, parsed: ModelId, catalog: Catalog, group: int) -> Stop:
    """Return the place that a route names: a provider, or a whole model string."""
    if not _bare(name):
        parsed = _routed(name)
        provider = parsed.provider
    else:
        provider = name
    entry = catalog.find(parsed.name)
    if provider is None:
        return Stop(Option(name, None, parsed.name, account=asked.account, fallback=group), parsed)
    stop = _at(asked, provider, parsed, entry, group)
    return msgspec.structs.replace(stop, option=msgspec.structs.replace(stop.option, name=name))


def _at(asked: Asked, provider: str, parsed: ModelId, entry: ModelEntry | None, group: int) -> Stop:
    from trunkline.catalog.options import (
        option_of,
    )  # loads prices; calls without a route do without

    model = msgspec.structs.replace(parsed, provider=provider, policy=None)
    offer = entry.offer(provider) if entry is not None else None
    row = PROVIDERS.get(provider)
    if entry is not None and offer is not None:
        option = option_of(entry, offer)
    else:
        region = None if row is None else row.region
        option = Option(provider, provider, parsed.name, region=region)
    option = msgspec.structs.replace(option, name=provider, account=asked.account, fallback=group)
    return Stop(option, model)


def _with_bar(stop: Stop, asked: Asked) -> Stop:
    """Say of a place that the call may not go there, whatever the route says."""
    provider = stop.model.provider
    barred = SERVERS_KEY if asked.alone and not stop.served else None
    if asked.own_key and not stop.served and stop.model.scheme != "sandbox":
        barred = OTHERS_KEY if provider is None or provider != asked.parsed.provider else None
    if barred is None and asked.refused.get(provider or ""):
        barred = f"it does not take {', '.join(sorted(asked.refused[provider or '']))}"
    if barred is None:
        return stop
    return msgspec.structs.replace(stop, option=msgspec.structs.replace(stop.option, barred=barred))


def _strangers(policy: Policy, catalog: Catalog) -> list[str]:
    """Say which names in the route are nobody's, as far as is known: one may be a slip of the pen."""
    rows = (
        ("places", policy.places),
        ("allow", policy.allow),
        ("deny", policy.deny),
        ("weights", policy.weights),
    )
    return [
        f"The route's {field}: {name} is no provider that is known here."
        for field, names in rows
        for name in sorted(names)
        if _bare(name) and name not in PROVIDERS and not _is_known(name, catalog)
    ]


def _is_known(name: str, catalog: Catalog) -> bool:
    """Tell whether a place that the table does not have is one all the same."""
    return name in (SERVER, "sandbox") or any(
        entry.offer(name) is not None for entry in catalog.entries
    )


def _fallback(
    asked: Asked, name: str, group: int, catalog: Catalog, notes: list[str]
) -> list[Stop]:
    """Return the places of a fallback model."""
    parsed = _routed(name)
    if parsed.name == asked.parsed.name and parsed.provider == asked.parsed.provider:
        raise InvalidInputError(f"The route's fallback {name!r} is the call's own model.")
    if parsed.policy is not None:
        option = Option(name, None, parsed.name, account=asked.account, fallback=group)
        return [Stop(option, parsed)]
    if parsed.scheme == "sandbox":
        return [Stop(Option(name, "sandbox", parsed.name, fallback=group), parsed)]
    if parsed.provider is not None:
        return [_named(asked, name, parsed, catalog, group)]
    return [
        msgspec.structs.replace(
            stop,
            option=msgspec.structs.replace(stop.option, name=f"{stop.option.name}:{parsed.name}"),
        )
        if stop.option.provider
        else stop
        for stop in _offered(asked, parsed, catalog, notes, group)
    ]


def _distinct(found: Iterable[Stop]) -> tuple[Stop, ...]:
    """Leave out a place that is there already, as another name of it."""
    seen: dict[tuple[bool, str], Stop] = {}
    for stop in found:
        seen.setdefault((stop.served, str(stop.model)), stop)
    return tuple(seen.values())


def _bare(name: str) -> bool:
    """Tell whether a name is a provider's, and no model string."""
    return "/" not in name


def _routed(text: str) -> ModelId:
    try:
        return model_id.parse(text)
    except InvalidInputError as wrong:
        raise InvalidInputError(f"In the route: {wrong.message}", hint=wrong.hint) from wrong


def _uses(messages: list[dict[str, Any]], parameters: Mapping[str, Any]) -> frozenset[Need]:
    found: set[Need] = set()
    if parameters.get("tools"):
        found.add("tools")
    form = parameters.get("response_format")
    if isinstance(form, Mapping) and form.get("type") == "json_schema":
        found.add("json_schema")
    for message in messages:
        content = message.get("content")
        kinds = {part.get("type") for part in content} if isinstance(content, list) else set()
        if "image_url" in kinds:
            found.add("vision")
        if "input_audio" in kinds:
            found.add("audio")
    return frozenset(found)


def _conversation(messages: list[dict[str, Any]]) -> str:
    """Return what the turns of one conversation have in common: how it begins."""
    begin: list[Any] = []
    for message in messages:
        begin.append([message.get("role"), message.get("content")])
        if message.get("role") == "user":
            break
    data = repr(begin).encode(
        "utf-8", "backslashreplace"
    )  # what is no text is told where it is sent
    return hashlib.blake2b(data, digest_size=8).hexdigest()
