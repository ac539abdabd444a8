"""Takes secrets out of what is going to be kept: those that are known, and what looks like one.

Pure values. Over-cautious on purpose, and always the same way: what was asked is compared with what
was recorded after both have been through here.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from trunkline.types.secret_shapes import SHAPES, looks_secret

HIDDEN = "[hidden]"
SHORTEST = 8
"""Characters of a credential that is looked for elsewhere: shorter ones would be in every word."""
_SHORT, _MANY = 64, 4096

Span = tuple[int, int]

_MORE_SHAPES = re.compile(
    r"(?:(?<![A-Za-z0-9_])|(?<=\\[bfnrt]))"
    r"(?:api_org_|csk-|fw_|key_|nvapi-|pplx-|r8_|rc_|tgp_v1_|xai-)"
    r"(?=[A-Za-z_.-]{0,60}[0-9])[A-Za-z0-9_.-]{16,}"
    r"|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}:[0-9a-f]{16,}"
)
"""Keys of providers beside those that are known by the shapes of the whole house; the last fal's."""
_QUERY = re.compile(
    r"(?:[?&;]|\\u0026)"
    r"(?:x-(?:amz|goog)-(?:signature|credential|security-token)|signature|sig|policy|key-pair-id"
    r"|(?:access[_-]?|auth[_-]?|id[_-]?|hf[_-]?)?token|(?:api[_-]?)?key|auth|authorization"
    r"|(?:client[_-]?)?secret|password|credentials?|user(?:[_-]?id)?)"
    r"=([^&\s\"'<>\\#;]+)",
    re.IGNORECASE,
)
"""Parts of a URL's query that are secret, or sign it."""
_SECRET_NAMES = frozenset(
    [
        "accesstoken",
        "apikey",
        "authorization",
        "authtoken",
        "clientsecret",
        "cookie",
        "credential",
        "credentials",
        "hftoken",
        "idtoken",
        "passwd",
        "password",
        "privatekey",
        "refreshtoken",
        "secret",
        "secretkey",
        "setcookie",
        "webhooksecret",
        "accountid",
        "billto",
        "enduser",
        "enduserid",
        "orgid",
        "organizationid",
        "safetyidentifier",
        "user",
        "userid",
    ]
)
"""Keys of JSON whose text is a credential, or says who somebody is."""
_NOT_A_LETTER = re.compile(r"[^a-z0-9]")
_OF_A_SECRET = re.compile(
    r"auth|key|token|secret|cookie|session|credential|passw|signature|jwt|bearer", re.IGNORECASE
)
_HARMLESS = frozenset(
    [
        "accept",
        "accept-encoding",
        "anthropic-beta",
        "anthropic-version",
        "content-length",
        "content-type",
        "host",
        "openai-beta",
        "prefer",
        "range",
        "user-agent",
        "x-sandbox-fault",
        "x-sandbox-task",
    ]
)
_RANDOM = re.compile(r"(?=\S*[0-9])(?=\S*[A-Za-z])\S{12,}")
_DATA = re.compile(r"(?:data:[^,\s]{0,200};base64,)?[A-Za-z0-9+/\s]{400,}+={0,2}+\s*+")
"""A file in base64, in which by chance anything can stand."""
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})|\\(/)")


class Scrubber:
    """Knows secrets, and takes them and all that looks like one out of text, JSON and bytes."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        """Know `secrets`."""
        self._known: tuple[str, ...] = ()
        self._numbers: tuple[str, ...] = ()
        self._harmless: set[str] = set()
        """Texts that were found to hold nothing."""
        for secret in secrets:
            self.hide(secret)

    def __repr__(self) -> str:
        """Show how many are known."""
        return f"Scrubber({len(self._known)} known)"

    def hide(self, secret: str) -> None:
        """Look for `secret` from now on, unless it is too short to be one."""
        if len(secret) < SHORTEST or secret in self._known or secret in HIDDEN:
            return
        self._harmless.clear()
        written = {secret, quote(secret, safe=""), _json_escaped(secret)}
        self._known = tuple({*self._known, *written})
        self._numbers = tuple(text for text in self._known if text.strip("0123456789.-+e") == "")

    def learn(self, headers: Iterable[tuple[str, str]], *, sent: bool = True) -> None:
        """Look for the credentials in headers that were `sent`, or that came.

        A header that was sent under any name may hold one; in an answer ids look the same.
        """
        for name, value in headers:
            if name in _HARMLESS:
                continue
            told = bool(_OF_A_SECRET.search(name))
            for part in _credentials(name, value):
                if told or (sent and (looks_secret(part) or _RANDOM.fullmatch(part))):
                    self.hide(part)

    def spans(self, text: str) -> list[Span]:
        """Return where secrets stand in `text`, in order and apart from each other."""
        found: list[Span] = []
        for secret in self._known:
            at = text.find(secret)
            while at >= 0:
                found.append((at, at + len(secret)))
                at = text.find(secret, at + 1)
        if not _DATA.fullmatch(text):
            for shape in (*(shape for _, shape in SHAPES), _MORE_SHAPES):
                found += [match.span() for match in shape.finditer(text)]
            found += [match.span(1) for match in _QUERY.finditer(text)]
        return _merged(found)

    def text(self, text: str) -> str:
        """Return text, or JSON that is kept as text, without secrets."""
        if text not in self._harmless:
            clean = self._clean(text)
            if clean == text and len(text) <= _SHORT and len(self._harmless) < _MANY:
                self._harmless.add(text)  # names of fields come again and again
            return clean
        return text

    def _clean(self, text: str) -> str:
        clean = cut(text, self.spans(text))
        if "\\" in clean:
            plain = _ESCAPE.sub(lambda e: chr(int(e[1], 16)) if e[1] else "/", clean)
            spans = self.spans(plain)
            if spans:  # a secret was behind escapes, so the text is kept without them
                return cut(plain, spans).encode("utf-8", "replace").decode()
        return clean

    def value(self, value: Any, name: str = "") -> Any:
        """Return a decoded JSON value without secrets; `name` is the key that it stands under."""
        if isinstance(value, dict):
            return {self.text(key): self.value(inner, key) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.value(inner) for inner in value]
        if isinstance(value, str):
            return HIDDEN if value and _tells_a_secret(name) else self.text(value)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            hidden = _tells_a_secret(name) or any(n in str(value) for n in self._numbers)
            return 0 if hidden else value
        return value

    def binary(self, data: bytes) -> bytes:
        """Return bytes that are no text without the secrets that are known."""
        for secret in self._known:
            data = data.replace(secret.encode(), HIDDEN.encode())
        return data


def cut(text: str, spans: list[Span]) -> str:
    """Return `text` with `HIDDEN` in place of each span."""
    kept: list[str] = []
    at = 0
    for start, end in spans:
        kept += (text[at:start], HIDDEN)
        at = end
    return "".join((*kept, text[at:]))


def without_words(value: Any, words: Iterable[str]) -> Any:
    """Return a decoded JSON value with `HIDDEN` in place of whole words."""
    for word in words:
        pattern = re.compile(rf"(?<![\w-]){re.escape(word)}(?![\w-])")
        value = _replaced(value, pattern)
    return value


def _replaced(value: Any, pattern: re.Pattern[str]) -> Any:
    if isinstance(value, dict):
        return {key: _replaced(inner, pattern) for key, inner in value.items()}
    if isinstance(value, list):
        return [_replaced(inner, pattern) for inner in value]
    return pattern.sub(HIDDEN, value) if isinstance(value, str) else value


def _merged(spans: list[Span]) -> list[Span]:
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _tells_a_secret(name: str) -> bool:
    return bool(name) and _NOT_A_LETTER.sub("", name.lower()) in _SECRET_NAMES


def _json_escaped(secret: str) -> str:
    return secret.replace("\\", "\\\\").replace('"', '\\"')


def _credentials(name: str, value: str) -> list[str]:
    """Return the texts in a header's value that may be credentials."""
    if name in ("cookie", "set-cookie"):
        return [pair.partition("=")[2].strip() for pair in re.split("[;,]", value)]
    scheme, _, rest = value.strip().partition(" ")
    parts = [value.strip(), *value.split(" ")]
    if scheme.lower() == "basic":
        try:
            pair = base64.b64decode(rest, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return parts
        parts += [pair, pair.partition(":")[2]]
    return parts
