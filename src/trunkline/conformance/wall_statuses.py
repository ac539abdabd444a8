"""The part of the wall that is told as a status: refusals, failures, and how long to wait."""

from __future__ import annotations

from trunkline.conformance.rows import Kind, Row, either, fails

_ASKED = "the upstream refuses the request; asking again changes nothing"
_REASONS: dict[str, tuple[Kind, str]] = {
    "400": ("asked", _ASKED),
    "400-model": ("missing", "no provider serves the model"),
    "400-suffix": ("missing", "no provider serves the model"),
    "400-provider": ("missing", "no provider serves the model"),
    "400-path": ("missing", "the path is none of the provider's"),
    "400-list": ("asked", _ASKED),
    "400-kwargs": ("asked", _ASKED),
    "400-together": ("asked", _ASKED),
    "400-message": ("asked", _ASKED),
    "400-object": ("asked", _ASKED),
    "400-params": ("asked", _ASKED),
    "400-strict": ("asked", _ASKED),
    "400-context": ("asked", "the context is too long"),
    "401": ("credential", "the credential for the upstream is refused"),
    "401-header": ("credential", "the credential for the upstream is refused"),
    "401-echo": ("credential", "a credential is refused, and may not be repeated"),
    "402": ("money", "the upstream's account has no money"),
    "402-2025": ("money", "the upstream's account has no money"),
    "402-provider": ("money", "the upstream's account has no money"),
    "403": ("credential", "the credential may not do this"),
    "403-gated": ("credential", "the credential may not do this"),
    "403-cloudflare": ("credential", "a firewall refuses"),
    "404": ("missing", "there is no such model"),
    "404-old": ("missing", "there is no such model"),
    "404-text": ("missing", "there is no such model"),
    "408": ("late", "the upstream waited too long"),
    "409": ("conflict", "a conflict; asking again may help"),
    "410": ("missing", "the address is no longer served"),
    "413": ("asked", "the request is too large"),
    "422": ("asked", "too many tokens"),
    "422-template": ("asked", _ASKED),
    "422-text": ("asked", _ASKED),
    "422-fastapi": ("asked", _ASKED),
    "422-fal": ("asked", _ASKED),
    "422-fal-list": ("asked", _ASKED),
    "422-replicate": ("asked", _ASKED),
    "424": ("upstream", "the model failed"),
    "424-backend": ("upstream", "the model failed"),
    "500": ("upstream", "the upstream failed"),
    "500-report": ("upstream", "the upstream failed"),
    "500-busy": ("busy", "the upstream was late"),
    "500-text": ("upstream", "the upstream failed"),
    "502": ("upstream", "the upstream failed, in a web page"),
    "503": ("busy", "the upstream is overloaded"),
    "503-loading": ("busy", "the model is being loaded"),
    "503-retry": ("busy", "the upstream is overloaded"),
    "504": ("upstream", "the upstream failed, in a web page"),
    "529": ("busy", "the upstream is overloaded"),
}

_WAITS: dict[str, float | None] = {
    "429": None,
    "429-anonymous": None,
    "429-overloaded": None,
    "429-int": 1.0,
    "429-float": 0.25,
    "429-zero": 0.0,
    "429-date": 2.0,
    "429-past": 0.0,
    "429-negative": 0.0,
    "429-huge": 1e9,
    "429-long": 600.0,
    "429-nan": None,
    "429-garbage": None,
    "429-list": None,
    "429-ms": 0.25,
    "429-reset-seconds": 2.0,
    "429-reset-ms": 0.25,
    "429-reset-span": 90.0,
    "429-reset-epoch": 2.0,
    "429-reset-iso": 2.0,
    "429-no-retry": 1.0,
}
"""Seconds to wait as each form tells them; None is "not told", or not to be believed."""

_LIMITED = "too many requests: who waits is the client, and it has to know"
_AGAIN = "it fails once: asking again helps, and an error is honest"
_ONCE: dict[str, Kind] = {
    "flaky-500": "upstream",
    "flaky-503": "busy",
    "flaky-loading": "busy",
    "flaky-reset": "upstream",
    "flaky-first": "busy",
    "flaky-429": "rate",
}

STATUSES: tuple[Row, ...] = (
    *(fails(fault, why, told=told) for fault, (told, why) in _REASONS.items()),
    *(fails(fault, _LIMITED, told="rate", wait=wait) for fault, wait in _WAITS.items()),
    *(either(fault, _AGAIN, told=told) for fault, told in _ONCE.items()),
    either("429-storm", "ten times too many requests, and then an answer", told="rate"),
)
