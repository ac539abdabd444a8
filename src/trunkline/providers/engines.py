"""Which engine answers at an address of one's own: TGI, TEI, or whatever else speaks OpenAI's form.

From the address, as far as it says, and from the engine's own `GET /info`. It asks nobody itself.
"""

from __future__ import annotations

import re
from typing import Any, Literal

import msgspec

from trunkline._version import __version__
from trunkline.providers.memory import Key, Memory, key_for
from trunkline.providers.spec import Target
from trunkline.wire.message import HttpRequest, Url, parse_url

Kind = Literal["tei", "tgi", "openai", "pipeline"]

MAX_ANSWER = 1024 * 1024
"""Bytes that an answer may have."""

_ROUTES: tuple[tuple[Kind, tuple[str, ...]], ...] = (
    ("tei", ("embed", "embed_all", "embed_sparse", "rerank", "predict", "similarity")),
    ("tgi", ("generate", "generate_stream")),
    (
        "openai",
        (
            "v1",
            "v1/audio/speech",
            "v1/audio/transcriptions",
            "v1/audio/translations",
            "v1/chat/completions",
            "v1/completions",
            "v1/embeddings",
            "v1/images/edits",
            "v1/images/generations",
            "v1/models",
            "v1/rerank",
            "v1/responses",
            "v1/videos",
        ),
    ),
)
_KINDS: dict[str, Kind] = {route: kind for kind, routes in _ROUTES for route in routes}
_SHARED = ("health", "info", "invocations", "metrics", "tokenize")
"""Routes that tell nothing of the engine."""
_ENDING = re.compile("/(" + "|".join(sorted((*_KINDS, *_SHARED), key=len, reverse=True)) + ")$")


class Engine(msgspec.Struct, frozen=True):
    """What answers at an address."""

    kind: Kind = "openai"
    model: str | None = None
    max_batch: int | None = None
    """Inputs in one request."""
    max_input: int | None = None
    """Tokens in one input."""
    version: str | None = None
    info: dict[str, Any] = {}
    """Its whole answer to `GET /info`."""
    guessed: bool = False
    """Whether `openai` is a guess, since the engine could not be asked."""


def named_engine(api_base: str) -> Kind | None:
    """Return the engine that an address names by its route; None where it names none.

    Raises InvalidInputError for no http(s) URL.
    """
    found = _ENDING.search(_path(parse_url(api_base)))
    return _KINDS.get(found[1]) if found else None


def engine_base(api_base: str) -> Url:
    """Return the address below which all routes of the engine lie; a query string stays.

    Raises InvalidInputError for no http(s) URL.
    """
    url = parse_url(api_base)
    path = _ENDING.sub("", _path(url)).rstrip("/")
    return msgspec.structs.replace(url, target=(path or "/") + _query(url))


def engine_url(base: Url, route: str) -> Url:
    """Return the address of a route, such as `info`, below an engine's base."""
    return msgspec.structs.replace(base, target=f"{_path(base)}/{route}{_query(base)}")


def _path(url: Url) -> str:
    return url.target.partition("?")[0].rstrip("/")


def _query(url: Url) -> str:
    _, mark, query = url.target.partition("?")
    return mark + query


_TGI = frozenset({"max_total_tokens", "max_input_tokens", "max_best_of", "max_stop_sequences"})
_TEI = frozenset({"model_type", "max_client_batch_size"})
"""Fields of /info. TGI has the second too, so it is looked for first."""


def read_engine(status: int, body: Any) -> Engine:
    """Return the engine that gives this decoded answer to `GET /info`."""
    if status != 200 or not isinstance(body, dict):
        return Engine()
    kind: Kind = "openai"
    if _TGI & body.keys() or body.get("router") == "text-generation-router":
        kind = "tgi"
    elif _TEI & body.keys():
        kind = "tei"
    return Engine(
        kind,
        _text(body.get("model_id")),
        _count(body.get("max_client_batch_size")),
        _count(body.get("max_input_tokens")) or _count(body.get("max_input_length")),
        _text(body.get("version")),
        body,
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


class Engines(Memory[Engine]):
    """What was found out about addresses, by address and token."""

    def key(self, api_base: str, target: Target) -> Key:
        """Return what the answer to `request(api_base, target)` is remembered under."""
        return key_for(str(engine_base(api_base)), target.secret)

    def request(self, api_base: str, target: Target) -> HttpRequest:
        """Return the request that asks the engine, with the target's own credential."""
        headers = {
            "user-agent": f"trunkline/{__version__}",
            "accept": "application/json",
            "accept-encoding": "identity",
        }
        if target.secret is not None:
            headers[target.auth_header] = f"{target.scheme} {target.secret.value}".lstrip()
        url = engine_url(engine_base(api_base), "info")
        return HttpRequest("GET", url, tuple(headers.items()), limit=MAX_ANSWER)


class Seekers(msgspec.Struct, frozen=True):
    """What is remembered between calls of where tasks are served."""

    engines: Engines
    hub: str
    """The Hub's address, which LoRA weights are named by."""
