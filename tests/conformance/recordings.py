"""Real traffic to test against: recorded exchanges and samples of two real servers.

They lie beside the repository and are never copied into it; without them the tests skip.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

SHARED = Path(__file__).resolve().parents[3] / "shared"
RECORDINGS = SHARED / "recordings"
ORACLE = SHARED / "oracle"
PYTHON = "py-huggingface_hub-2.4.0.jsonl"
JAVASCRIPT = "js-inference-4.13.30.jsonl"
"""The golden requests of each client."""

CHAT_TRANSPORTS = ("router", "direct", "legacy")
ERROR_TRANSPORTS = (*CHAT_TRANSPORTS, "hub", "artifact")
SERVERS = ("llama-cpp-server", "transformers-serve")
CHAT_SAMPLES = frozenset(
    {
        "chat",
        "chat_json_schema",
        "chat_stream",
        "chat_tool",
        "err_context",
        "err_field",
        "err_model",
        "err_validation",
    }
)

needs_recordings = pytest.mark.skipif(
    not RECORDINGS.is_dir(), reason="no shared/recordings beside the repository"
)
needs_oracle = pytest.mark.skipif(
    not ORACLE.is_dir(), reason="no shared/oracle beside the repository"
)


@dataclass(frozen=True)
class Exchange:
    """One recorded answer, and what of its request matters here."""

    id: str
    transport: str
    provider: str
    task: str
    model: str
    asked_stream: bool
    """Whether the request asked for a stream; what came is for its headers to say."""
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    packed: bool = False
    """Whether the body is still compressed, as `content-encoding` says."""
    method: str = "POST"
    url: str = ""
    asked: str = ""
    """The request's body as far as it was kept: some were cut off, and some left out."""

    def __str__(self) -> str:
        return f"{self.transport}-{self.provider}-{self.id}"

    @property
    def header(self) -> dict[str, str]:
        return dict(self.headers)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def streamed(self) -> bool:
        return self.header.get("content-type", "").startswith("text/event-stream")


@cache
def chats() -> tuple[Exchange, ...]:
    """Return every recorded chat, errors included, and the samples."""
    recorded = (e for t in CHAT_TRANSPORTS for e in _recorded(t) if e.task == "conversational")
    return (*recorded, *_samples())


@cache
def other_errors() -> tuple[Exchange, ...]:
    """Return every recorded error answer of the other tasks."""
    return tuple(
        exchange
        for transport in ERROR_TRANSPORTS
        for exchange in _recorded(transport)
        if exchange.status >= 400 and exchange.task != "conversational"
    )


@cache
def tasks() -> tuple[Exchange, ...]:
    """Return every recorded exchange of the other tasks that was no stream, errors included."""
    return tuple(
        exchange
        for transport in CHAT_TRANSPORTS
        for exchange in _recorded(transport)
        if exchange.task != "conversational" and not exchange.streamed
    )


@cache
def artifacts() -> dict[str, Exchange]:
    """Return every recorded file by its URL. Of most, only that it came was kept."""
    return {exchange.url: exchange for exchange in _recorded("artifact")}


def digest(exchanges: Iterable[Exchange]) -> str:
    """Return what identifies a collection, whatever its order."""
    lines = sorted(f"{e.id} {e.status} {hashlib.sha256(e.body).hexdigest()}" for e in exchanges)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def oracle(name: str) -> list[dict[str, Any]]:
    """Return the conversational rows of one client's golden requests."""
    return [row for row in _golden(name) if row["task"] == "conversational"]


def oracle_tasks(name: str) -> list[dict[str, Any]]:
    """Return the rows of one client's golden requests that are no chats."""
    return [row for row in _golden(name) if row["task"] != "conversational"]


def _golden(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in _lines(ORACLE / name)]


def _recorded(transport: str) -> Iterator[Exchange]:
    for line in _lines(RECORDINGS / f"{transport}.jsonl"):
        yield _read_row(json.loads(line))


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").split("\n")[:-1] if path.is_file() else []


def _read_row(row: dict[str, Any]) -> Exchange:
    answer = row["response"]
    body = answer["body"] or ""
    packed = answer["body_encoding"] == "base64"
    return Exchange(
        id=row["id"],
        transport=row["transport"],
        provider=row["provider"],
        task=row["task"],
        model=row["model"] or "unknown",
        asked_stream=row["streaming"] or _asks_stream(row["request"]["body"]),
        status=answer["status"],
        headers=tuple(answer["headers"].items()),
        body=base64.b64decode(body) if packed else body.encode(),
        packed=packed and "content-encoding" in answer["headers"],
        method=row["request"]["method"],
        url=row["request"]["url"],
        asked=row["request"]["body"] or "",
    )


def _asks_stream(body: str | None) -> bool:
    """Read a recorded request; some were not kept and leave it open."""
    try:
        asked = json.loads(body or "null")
    except ValueError:
        return False
    return isinstance(asked, dict) and asked.get("stream") is True


def _samples() -> Iterator[Exchange]:
    for server in SERVERS:
        for path in sorted((RECORDINGS / server).glob("*.http")):
            if path.stem in CHAT_SAMPLES:
                yield replace(_read_sample(path.read_bytes()), id=path.stem, provider=server)


def _read_sample(data: bytes) -> Exchange:
    """Read a raw answer whose lines end with LF and whose body has no framing any more."""
    head, _, body = data.partition(b"\n\n")
    first, *lines = head.decode("ascii").split("\n")
    headers = tuple((name.lower(), value) for name, _, value in (x.partition(": ") for x in lines))
    streamed = dict(headers)["content-type"].startswith("text/event-stream")
    status = int(first.split(" ")[1])
    return Exchange("", "sample", "", "conversational", "tiny", streamed, status, headers, body)
