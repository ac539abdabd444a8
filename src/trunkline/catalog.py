"""What the router tells of its models: who serves each, for how much and how fast.

Nothing here is relied on to make a call; whatever the router does not tell is None, never 0.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from typing import Any

import msgspec

from trunkline._version import __version__
from trunkline.dialects.failures import error_for, read_failure
from trunkline.errors import AuthenticationError, InvalidResponseError
from trunkline.settings import Settings
from trunkline.transport.seam import Transport
from trunkline.types import Secret, Timeouts
from trunkline.wire import strict_json
from trunkline.wire.message import HttpRequest, Url, parse_url

MAX_BYTES = 64 * 1024 * 1024
"""What a list may have at the most."""
LOOK_UP = Timeouts(connect=5.0, total=20.0)


class Pricing(msgspec.Struct, frozen=True):
    """US dollars for a million tokens."""

    input: float | None = None
    output: float | None = None


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

    @property
    def live(self) -> bool:
        """Whether the router sends calls there now."""
        return self.status == "live"


class ModelEntry(msgspec.Struct, frozen=True):
    """A model and everybody who serves it."""

    id: str
    created: int | None = None
    owned_by: str | None = None
    input_modalities: tuple[str, ...] = ()
    output_modalities: tuple[str, ...] = ()
    providers: tuple[Offer, ...] = ()


def read_models(data: bytes) -> list[ModelEntry]:
    """Read an answer of `/v1/models`; raises InvalidResponseError where it is no such list.

    A field that is missing or of another kind is unknown; a row without a name is left out.
    """
    try:
        body = strict_json.decode(data)
    except strict_json.JsonError as error:
        raise InvalidResponseError(f"The list of models is not JSON: {error}.") from error
    rows = body.get("data") if isinstance(body, dict) else body
    if not isinstance(rows, list):
        raise InvalidResponseError("The answer is not a list of models.")
    return [_entry(row) for row in _named(rows, "id")]


def fetch_models(
    settings: Settings,
    transport: Transport,
    secret: Secret | None = None,
    timeouts: Timeouts = LOOK_UP,
) -> list[ModelEntry]:
    """Ask the router for its models; raises APIError.

    The list is public: a token goes along if it is Hugging Face's, and is left out if refused.
    """
    url = models_url(settings.router_url)
    if secret is not None and secret.is_hugging_face:
        try:
            return read_models(get(transport, url, secret, timeouts))
        except AuthenticationError:
            pass  # the list does not need it
    return read_models(get(transport, url, None, timeouts))


def models_url(router: str) -> Url:
    """Return where the router at `router`, with or without `/v1`, lists its models."""
    base = router.rstrip("/")
    return parse_url(f"{base}/models" if base.endswith("/v1") else f"{base}/v1/models")


def get(
    transport: Transport, url: Url, secret: Secret | None = None, timeouts: Timeouts = LOOK_UP
) -> bytes:
    """Return what is at `url`; raises APIError for no answer and for every status but 2xx."""
    headers = [
        ("user-agent", f"trunkline/{__version__}"),
        ("accept", "application/json"),
        ("accept-encoding", "identity"),
    ]
    if secret is not None:
        headers.append(("authorization", f"Bearer {secret.value}"))
    until = time.monotonic() + timeouts.total
    exchange = transport.open(HttpRequest("GET", url, tuple(headers)), timeouts, until)
    try:
        body = bytearray()
        while data := exchange.read(until):
            body += data
            if len(body) > MAX_BYTES:
                raise InvalidResponseError(f"{url.authority} sends more than {MAX_BYTES:,} bytes.")
    finally:
        exchange.close()
    head = exchange.head
    if 300 <= head.status < 400:
        raise InvalidResponseError(
            f"{url.authority} redirects, which is not followed: the token would go along.",
            status=head.status,
        )
    if not 200 <= head.status < 300:
        failure = read_failure(head.status, head.headers, bytes(body))
        said = f"{url.authority} refuses {url.target}: {failure.message}"
        failure = msgspec.structs.replace(failure, message=said)
        raise error_for(failure, request_id=head.request_id)
    return bytes(body)


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
        pricing=Pricing(_number(prices.get("input")), _number(prices.get("output"))),
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
    """Return a number without the noise of binary fractions (0.9299999999999999 is 0.93)."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(f"{value:.9g}") if math.isfinite(value) and value >= 0 else None


def _count(value: Any) -> int | None:
    number = _number(value)
    return None if number is None else int(number)
