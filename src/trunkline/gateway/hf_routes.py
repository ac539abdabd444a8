"""Hugging Face's own routes below `/hf`: whose they are, what they ask for, and which model. Pure.

A path is relayed as it was sent, so it is read as narrowly as it can be: what two servers could read in two
ways is refused. Work may have any path, as providers learn new ones without us; what only asks after a job
has one of those that are known, so that nothing is made which no entry accounts for.
"""

from __future__ import annotations

import functools
import re
from typing import Literal
from urllib.parse import parse_qsl, unquote_to_bytes

import msgspec

from trunkline.dialects.openai_server import RequestError
from trunkline.providers.table import PROVIDERS, provider_hint

PREFIX = "/hf"
OWN = "hf-inference"
"""Hugging Face's own inference, where models have the Hub's names."""
Kind = Literal["work", "poll"]
Counted = Literal["chat", "completions", "embeddings"]

_PATH = re.compile(r"/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})+")
_QUERY = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/?\[\]-]|%[0-9A-Fa-f]{2})*")
_ESCAPED = re.compile(r"%([0-9A-Fa-f]{2})")
_NOT_ESCAPED = frozenset(b"/\\.%?#;:") | frozenset(range(0x21)) | frozenset(range(0x7F, 0x100))
"""Bytes that a path may not have behind a percent sign: other servers could take them for its parts."""
_LONGEST_NAME = 500
_LONG = 400
"""Bytes of a path that is read anew each time."""

_OURS = ("api", "v1")
"""What lies below beside the providers; what of it is served has rows and pages of its own."""

_ID = "[^/]+"
_POLLS: dict[str, tuple[tuple[str, str], ...]] = {
    "fal-ai": (
        ("GET", rf".+/requests/{_ID}(?:/status(?:/stream)?)?"),
        ("PUT", rf".+/requests/{_ID}/cancel"),
    ),
    "novita": (
        ("GET", "v3/async/task-result"),
        ("GET", rf"v3/minimax/v2/query/video_generation/{_ID}"),
    ),
    "replicate": (
        ("GET", rf"v1/predictions/{_ID}"),
        ("POST", rf"v1/predictions/{_ID}/cancel"),
    ),
    "together": (("GET", rf"v2/videos/{_ID}"),),
    "wavespeed": (("GET", rf"api/v3/predictions/{_ID}(?:/result)?"),),
    "zai-org": (("GET", rf"api/paas/v4/async-result/{_ID}"),),
}
"""Provider, and what asks after its jobs or cancels them: method and path."""

_MODELS: dict[str, tuple[str, ...]] = {
    "fal-ai": ("(?P<model>.+)",),
    OWN: (
        "models/(?P<model>[^/]+(?:/[^/]+)?)/pipeline/[a-z-]+",
        "models/(?P<model>[^/]+(?:/[^/]+)?)/v1/(?:chat/)?completions",
        "models/(?P<model>[^/]+(?:/[^/]+)?)",
    ),
    "novita": ("v3/(?:async|hf)/(?P<model>.+)",),
    "replicate": ("v1/models/(?P<model>.+)/predictions",),
    "wavespeed": ("api/v3/(?P<model>.+)",),
}
"""Provider, and its paths that name the model; elsewhere the body does."""

_FIELDS: dict[str, tuple[tuple[str, str], ...]] = {
    "fal-ai": (),
    OWN: (),
    "novita": (("v3/openai/.+|v3/minimax/v2/video_generation", "model"),),
    "replicate": (("v1/predictions", "version"),),
    "wavespeed": (),
}
"""Of those, paths where a field of the body names it; on any other path nothing that a body says is believed."""
_ANYWHERE = ((".+", "model"),)

_COUNTED: tuple[tuple[str, Counted], ...] = (
    ("/chat/completions", "chat"),
    ("/completions", "completions"),
    ("/embeddings", "embeddings"),
)
"""How a path ends whose answers tell tokens as OpenAI's do."""

JOB_URLS: dict[str, tuple[tuple[str, ...], ...]] = {
    "fal-ai": (("response_url",), ("status_url",), ("cancel_url",)),
    "replicate": (("urls", "get"), ("urls", "cancel")),
    "wavespeed": (("data", "urls", "get"),),
}
"""Where a provider's answers have URLs of its API, at which clients ask after their jobs."""


class HfRoute(msgspec.Struct, frozen=True):
    """One request, read."""

    provider: str
    path: str
    """Below the provider's address, as it was sent."""
    query: str
    kind: Kind
    model: str | None = None
    """The provider's name of the model, where the path has it."""
    field: str | None = None
    """The field of the body that has it, where the path does not."""
    counted: Counted | None = None
    """How its answer tells tokens, where it does."""

    @property
    def target(self) -> str:
        """Path and query on the router."""
        return f"/{self.provider}/{self.path}" + (f"?{self.query}" if self.query else "")


def read_route(method: str, path: bytes, query: bytes) -> HfRoute:
    """Read a request's first line; raises RequestError."""
    usual = len(path) + len(query) < _LONG
    return _remembered(method, path, query) if usual else _read(method, path, query)


def _read(method: str, path: bytes, query: bytes) -> HfRoute:
    place = checked_path(path)
    provider, _, rest = place.removeprefix(f"{PREFIX}/").partition("/")
    _check_provider(provider)
    again = f"{PREFIX[1:]}/{provider}/"
    rest = rest.removeprefix(
        again
    )  # by clients that put the provider before any path they are told
    if not rest:
        raise _unknown(f"There is nothing at {place}: name one of {provider}'s routes below it.")
    asked = checked_query(provider, query)
    if method == "HEAD":
        method = "GET"
    if any(method == m and re.fullmatch(p, rest) for m, p in _POLLS.get(provider, ())):
        return HfRoute(provider, rest, asked, "poll")
    if method != "POST":
        if method == "GET" and rest == _models_path(provider):
            return HfRoute(provider, rest, asked, "poll")
        raise _unknown(
            f"Not allowed to {method} {rest[:200]} for provider {provider}: what is asked for here is "
            "work (POST), and what asks after a job."
        )
    model = _model_in(provider, rest)
    field = None if model is not None else _field(provider, rest)
    return HfRoute(provider, rest, asked, "work", model, field, _counted(rest))


_remembered = functools.lru_cache(maxsize=2048)(_read)


def checked_path(path: bytes) -> str:
    """Return a path that nobody can read in another way; raises RequestError."""
    try:
        text = path.decode("ascii")
    except UnicodeDecodeError:
        raise _wrong("The path has characters that have to be percent-encoded.") from None
    if _PATH.fullmatch(text) is None:
        raise _wrong("The path has characters that no path has.")
    if any(int(code, 16) in _NOT_ESCAPED for code in _ESCAPED.findall(text)):
        raise _wrong("The path has an escape (%..) that is not taken: write the character itself.")
    if any(part in ("", ".", "..") for part in text[1:].split("/")):
        raise _wrong("The path has an empty part, or one that leads elsewhere ('.', '..').")
    return text


def checked_query(provider: str, query: bytes) -> str:
    """Return a query that leads to no other host than `provider`'s; raises RequestError."""
    text = query.decode("latin-1")
    if _QUERY.fullmatch(text) is None:
        raise _wrong("The query has characters that have to be percent-encoded.")
    for name, value in parse_qsl(text, keep_blank_values=True):
        if name == "_subdomain" and (provider, value) != ("fal-ai", "queue"):
            raise _wrong("'_subdomain' may only be 'queue', for fal-ai.")
    return text


def _check_provider(name: str) -> None:
    if name in _OURS:
        raise _unknown(f"There is nothing at this path below {PREFIX}/{name}.")
    row = PROVIDERS.get(name)
    if row is None or row.dropped is not None or name == "openai":
        hint = provider_hint(name[:60]) or f"Hugging Face does not route to {name}."
        served = ", ".join(sorted(providers()))
        raise _unknown(f"{hint} Below {PREFIX}/ are v1, api and the providers: {served}.")


def providers() -> list[str]:
    """Return the providers that Hugging Face routes to."""
    return [p.name for p in PROVIDERS.values() if p.dropped is None and p.name != "openai"]


def _models_path(provider: str) -> str | None:
    chat = PROVIDERS[provider].chat_path
    return None if chat is None else chat.replace("chat/completions", "models")


def _model_in(provider: str, path: str) -> str | None:
    for pattern in _MODELS.get(provider, ()):
        found = re.fullmatch(pattern, path)
        if found is not None:
            name = unquote_to_bytes(found["model"]).decode("utf-8", "replace")
            return name if len(name) <= _LONGEST_NAME else None
    return None


def _field(provider: str, path: str) -> str | None:
    rows = _FIELDS.get(provider, _ANYWHERE)
    return next((field for pattern, field in rows if re.fullmatch(pattern, path)), None)


def _counted(path: str) -> Counted | None:
    return next((how for end, how in _COUNTED if f"/{path}".endswith(end)), None)


def _wrong(message: str) -> RequestError:
    return RequestError(message, code="bad_path")


def _unknown(message: str) -> RequestError:
    return RequestError(message, code="not_found", status=404)
