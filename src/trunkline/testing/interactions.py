"""One request and what came of it, as values, and as the JSON that a cassette's file has of them.

Pure. Only headers on the lists here are ever kept; bodies are JSON, text, forms or events where that
says the same as the bytes, and base64 where not.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from trunkline.dialects.multipart import FormError, read_form
from trunkline.testing.errors import CassetteFileError
from trunkline.testing.events import clean_events, split_events
from trunkline.testing.exact_json import NOT_JSON, read_exact
from trunkline.testing.scrub import Scrubber, without_words
from trunkline.wire.message import HttpRequest, ResponseHead

_ASKED = ("accept", "content-type", "prefer", "range", "anthropic-version", "x-sandbox-fault")
"""Headers of a request that say what is wanted; no other one is kept, whatever is in it."""
_ANSWERED = frozenset(
    [
        "content-type",
        "inference-id",
        "location",
        "retry-after",
        "retry-after-ms",
        "x-amz-cf-id",
        "x-amzn-trace-id",
        "x-error-code",
        "x-error-message",
        "x-generated-tokens",
        "x-inference-provider",
        "x-prompt-tokens",
        "x-request-id",
        "x-should-retry",
    ]
)
"""Headers of an answer that mean something to Trunkline; those of rate limits do too."""
_LIMITS = "x-ratelimit-"


class Fault(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a connection failed with."""

    type: str
    message: str
    hint: str | None = None
    sent: bool = False
    received: bool = False
    should_retry: bool | None = None
    seconds: float = 0.0
    """From the beginning of the request."""
    silent: float = 0.0
    """From the last event, of a stream."""
    late: bool = False
    """Whether the limit had passed that the program had set."""


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What came of a request, as bytes."""

    status: int | None = None
    """None where no head came."""
    headers: Mapping[str, str] = {}
    seconds: float = 0.0
    """Until the whole answer was there; of a stream, until its head was."""
    pieces: tuple[bytes, ...] = ()
    error: Fault | None = None
    """How it ended, where that was not well."""
    left: bool = False
    """Whether the program went before the end."""

    @property
    def streams(self) -> bool:
        """Whether it is an event stream."""
        return self.headers.get("content-type", "").lower().startswith("text/event-stream")


class Interaction(msgspec.Struct, frozen=True):
    """A request, as its file has it, and its answer."""

    request: dict[str, Any]
    answer: Answer


# writing


def written_request(request: HttpRequest, scrub: Scrubber) -> dict[str, Any]:
    """Return what is kept of a request, without secrets."""
    headers = {name: value for name, value in request.headers if name in _ASKED}
    kind = headers.get("content-type", "")
    kept = {name: scrub.text(value) for name, value in sorted(headers.items())}
    written: dict[str, Any] = {"method": request.method, "url": scrub.text(str(request.url))}
    body = _written_body(request.body, kind, scrub)
    if "form" in body:
        kept["content-type"] = kind.partition(";")[0]
    if kept:
        written["headers"] = kept
    return {**written, **body}


def written_answer(answer: Answer, scrub: Scrubber, payers: Iterable[str] = ()) -> dict[str, Any]:
    """Return what is kept of an answer; an error's text without the names of `payers` too."""
    written: dict[str, Any] = {}
    if answer.status is not None:
        headers = {name: scrub.text(text) for name, text in sorted(kept_headers(answer).items())}
        written = {"status": answer.status, "headers": headers, "seconds": round(answer.seconds, 3)}
        written |= _written_pieces(answer, scrub)
        if answer.status >= 400:
            written = without_words(written, payers)
    if answer.error is not None:
        fault = msgspec.to_builtins(answer.error)
        times = {name: round(fault[name], 3) for name in ("seconds", "silent") if name in fault}
        written["error"] = scrub.value({**fault, **times})
    if answer.left:
        written["left"] = True
    return written


def kept_headers(answer: Answer) -> dict[str, str]:
    """Return the headers that are kept; `date` only beside those that count from it."""
    kept = {
        name: text
        for name, text in answer.headers.items()
        if name in _ANSWERED or name.startswith(_LIMITS)
    }
    if "date" in answer.headers and any(n == "retry-after" or n.startswith(_LIMITS) for n in kept):
        kept["date"] = answer.headers["date"]
    return kept


def _written_pieces(answer: Answer, scrub: Scrubber) -> dict[str, Any]:
    body = b"".join(answer.pieces)
    if answer.streams:
        events = clean_events(split_events(body), scrub)
        return {"events": [e if isinstance(e, str) else {"base64": _base64(e)} for e in events]}
    return _written_body(body, answer.headers.get("content-type", ""), scrub)


def _written_body(body: bytes, kind: str, scrub: Scrubber) -> dict[str, Any]:
    if not body:
        return {}
    if kind.lower().startswith("multipart/form-data"):
        try:
            parts = read_form(body, kind)
        except FormError:
            parts = []
        if parts:
            return {"form": [_written_part(part, scrub) for part in parts]}
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return {"base64": _base64(scrub.binary(body))}
    value = read_exact(text)
    if value is not NOT_JSON:
        return {"json": scrub.value(value)}
    return {"text": scrub.text(text)}


def _written_part(part: Any, scrub: Scrubber) -> dict[str, Any]:
    told = {"name": part.name, "filename": part.filename, "type": part.content_type}
    kept = {key: scrub.text(text) for key, text in told.items() if text is not None}
    return {**kept, **_written_body(part.content, "", scrub)}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


# reading


def read_interaction(written: Any) -> Interaction:
    """Return an interaction of a file; raises CassetteFileError."""
    try:
        request, answer = written["request"], written["answer"]
        checked = {"method": str(request["method"]), "url": str(request["url"])}
        return Interaction({**request, **checked}, _read_answer(answer))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CassetteFileError(f"it cannot be read: {error!r}") from error


def _read_answer(written: Any) -> Answer:
    error = written.get("error")
    return Answer(
        status=written.get("status"),
        headers=msgspec.convert(written.get("headers", {}), dict[str, str]),
        seconds=float(written.get("seconds", 0.0)),
        pieces=tuple(_read_pieces(written)),
        error=None if error is None else msgspec.convert(error, Fault),
        left=bool(written.get("left")),
    )


def _read_pieces(written: Any) -> list[bytes]:
    if "events" in written:
        return [e.encode() if isinstance(e, str) else _unbase64(e) for e in written["events"]]
    if "json" in written:
        return [json.dumps(written["json"], ensure_ascii=False).encode()]
    if "text" in written:
        return [written["text"].encode()]
    return [_unbase64(written)] if "base64" in written else []


def _unbase64(written: Any) -> bytes:
    return base64.b64decode(written["base64"], validate=True)


def head_of(answer: Answer) -> ResponseHead:
    """Return the head of an answer that has one."""
    return ResponseHead(answer.status or 0, answer.headers)
