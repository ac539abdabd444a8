"""The catalog as values: models, who offers them, and where and when that was told. Pure.

Whatever the router does not tell is None, never 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import msgspec

from trunkline.errors import InvalidResponseError
from trunkline.providers.prices import Pricing, exact
from trunkline.settings import ROUTER
from trunkline.wire import strict_json


class Offer(msgspec.Struct, frozen=True):
    """One provider's offer of a model, named as the router names things."""

    provider: str
    status: str | None = None
    context_length: int | None = None
    pricing: Pricing = Pricing()
    is_free: bool | None = None
    supports_tools: bool | None = None
    supports_structured_output: bool | None = None
    first_token_latency_ms: float | None = None
    throughput: float | None = None
    """Tokens a second."""
    is_model_author: bool | None = None
    origin: str | None = None
    """Where the row is from, if not from where the whole catalog is."""

    @property
    def live(self) -> bool:
        """Whether the router sends calls there now."""
        return self.status == "live"

    @property
    def maybe_live(self) -> bool:
        """Whether it is not known that the router sends no calls there."""
        return self.status in (None, "live")


class ModelEntry(msgspec.Struct, frozen=True):
    """A model and everybody who serves it."""

    id: str
    created: int | None = None
    owned_by: str | None = None
    input_modalities: tuple[str, ...] = ()
    """`text`, `image`, `audio`, ...; empty is unknown."""
    output_modalities: tuple[str, ...] = ()
    providers: tuple[Offer, ...] = ()
    reasoning: bool | None = None
    """Whether it thinks before it answers. The router does not tell; the snapshot does of some."""

    def offer(self, provider: str) -> Offer | None:
        """Return one provider's offer."""
        wanted = provider.lower()
        return next((offer for offer in self.providers if offer.provider == wanted), None)


class Catalog(msgspec.Struct, frozen=True):
    """What is known of the models, where it is from and of when it is."""

    entries: tuple[ModelEntry, ...]
    source: str
    """`router`, `file <path>` or `snapshot shipped with Trunkline <version>`."""
    as_of: datetime
    """When it was told (UTC)."""
    router: str = ROUTER
    """Address of the router whose offers these are."""
    trouble: str | None = None
    """Why the router's own list, or the file that was kept of it, is not here."""
    by_name: dict[str, ModelEntry] = {}
    """The entries under their names in small letters."""

    def __post_init__(self) -> None:
        """Index the entries; of two with one name the first counts."""
        index = {entry.id.lower(): entry for entry in reversed(self.entries)}
        msgspec.structs.force_setattr(self, "by_name", index)

    def find(self, name: str) -> ModelEntry | None:
        """Return the entry of `org/name`, whatever its letters' case."""
        return self.by_name.get(name.lower())

    def age(self, now: datetime) -> timedelta:
        """Return how old it is."""
        return now - self.as_of

    def __repr__(self) -> str:
        """Show where it is from."""
        return f"Catalog({len(self.entries)} models, {self.source}, {self.as_of:%Y-%m-%d %H:%M}Z)"


def read_models(data: bytes) -> list[ModelEntry]:
    """Read an answer of `/v1/models`; raises InvalidResponseError where it is no such list.

    A field that is missing or of another kind is unknown; a row without a name is left out.
    """
    try:
        body = strict_json.decode(data)
    except strict_json.JsonError as error:
        raise InvalidResponseError(f"The list of models is not JSON: {error}.") from error
    return entries_of(body.get("data") if isinstance(body, dict) else body)


def entries_of(rows: Any) -> list[ModelEntry]:
    """Read the decoded rows of such an answer; raises InvalidResponseError as read_models."""
    if not isinstance(rows, list):
        raise InvalidResponseError("The answer is not a list of models.")
    return [_entry(row) for row in _named(rows, "id")]


def _entry(row: dict[str, Any]) -> ModelEntry:
    kinds = row.get("architecture")
    kinds = kinds if isinstance(kinds, dict) else {}
    return ModelEntry(
        id=row["id"],
        created=_count(row.get("created")),
        owned_by=_text(row.get("owned_by")),
        input_modalities=_texts(kinds.get("input_modalities")),
        output_modalities=_texts(kinds.get("output_modalities")),
        providers=tuple(_offer(offer) for offer in _named(row.get("providers"), "provider")),
    )


def _offer(row: dict[str, Any]) -> Offer:
    prices = row.get("pricing")
    prices = prices if isinstance(prices, dict) else {}
    return Offer(
        provider=row["provider"],
        status=_text(row.get("status")),
        context_length=_count(row.get("context_length")),
        pricing=Pricing(exact(prices.get("input")), exact(prices.get("output"))),
        is_free=_flag(row.get("is_free")),
        supports_tools=_flag(row.get("supports_tools")),
        supports_structured_output=_flag(row.get("supports_structured_output")),
        first_token_latency_ms=_number(row.get("first_token_latency_ms")),
        throughput=_number(row.get("throughput")),
        is_model_author=_flag(row.get("is_model_author")),
    )


def _named(rows: Any, key: str) -> Iterable[dict[str, Any]]:
    """Return the rows that are objects with a name under `key`."""
    if not isinstance(rows, list):
        return ()
    return (row for row in rows if isinstance(row, dict) and _text(row.get(key)))


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(v for v in value if isinstance(v, str)) if isinstance(value, list) else ()


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _number(value: Any) -> float | None:
    """Return a measurement without the noise of binary fractions."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(f"{value:.9g}")
    except OverflowError:  # an integer beyond every float
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _count(value: Any) -> int | None:
    number = _number(value)
    return None if number is None else int(number)
