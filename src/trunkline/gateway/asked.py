"""What a client asks for, read strictly: whatever is wrong with it is said before anything is sent. Pure.

Fields that nobody here knows are the upstream's affair and pass. Those that would choose where a call
goes, or on whose account, are refused.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from trunkline.dialects.openai_server import RequestError
from trunkline.wire import strict_json

Endpoint = Literal["chat", "completions", "embeddings"]

FORBIDDEN = frozenset(
    {
        "api_base",
        "api_key",
        "api_version",
        "base_url",
        "bill_to",
        "custom_host",
        "custom_llm_provider",
        "endpoint_url",
        "extra_headers",
        "headers",
        "hf_token",
        "proxies",
        "proxy",
        "token",
        "user_config",
    }
)
"""Names under which other gateways let a client choose address or credential."""
_COUNTS = frozenset({"best_of", "max_completion_tokens", "max_tokens", "n"})
_MOST_ANSWERS = 128
_MOST_TOKENS = 1 << 31


class Asked(msgspec.Struct, frozen=True):
    """A request that can be carried."""

    model: str
    stream: bool
    body: dict[str, Any]
    """All of it, decoded."""
    changes: dict[str, bytes | None]
    """What has to be changed in the bytes before they go on, besides the model's name."""
    hide_usage: bool
    """Whether the frame with usage was not asked for by the client."""
    more_than_text: bool = False
    """Whether it has parts whose tokens its size does not bound: images, sound, files."""
    wish: Any = None
    """The request as the SDK is asked, where its target speaks another dialect."""


_UNCHANGED: dict[str, bytes | None] = {}


def read_asked(data: bytes, endpoint: Endpoint) -> Asked:
    """Read a request's body; raises RequestError, naming the parameter."""
    try:
        body = strict_json.decode_strict(data)
    except strict_json.JsonError as error:
        raise RequestError(f"The body is not valid JSON: {error}.", code="invalid_json") from error
    if type(body) is not dict:
        raise RequestError("The body must be a JSON object.")
    if not FORBIDDEN.isdisjoint(body):
        raise _forbidden(body)
    model = body.get("model")
    if type(model) is not str or not model:
        raise RequestError("You must provide a model parameter.", param="model")
    if not _COUNTS.isdisjoint(body):
        for name in _COUNTS:
            if name in body:
                _check_count(name, body[name])
    more = False
    if endpoint == "chat":
        messages = body.get("messages")
        if type(messages) is not list or not messages:
            raise RequestError(
                "'messages' must be a list with at least one message.", param="messages"
            )
        more = b'"type"' in data and _more_than_text(messages)
    else:
        _check_input(body, endpoint)
    if not body.get("stream"):
        if body.get("stream") not in (None, False):
            raise _no_flag()
        return Asked(model, False, body, _UNCHANGED, False, more)  # noqa: FBT003
    return _streamed(model, body, endpoint, more=more)


def _streamed(model: str, body: dict[str, Any], endpoint: Endpoint, *, more: bool) -> Asked:
    """Ask for usage in every stream, whatever the client asked: the ledger needs it."""
    if body["stream"] is not True or endpoint == "embeddings":
        raise _no_flag()
    options = body.get("stream_options")
    if options is not None and type(options) is not dict:
        raise RequestError("'stream_options' must be an object.", param="stream_options")
    if options and options.get("include_usage") is True:
        return Asked(model, True, body, _UNCHANGED, False, more)  # noqa: FBT003
    wanted = strict_json.encode({**(options or {}), "include_usage": True})
    return Asked(model, True, body, {"stream_options": wanted}, True, more)  # noqa: FBT003


def _no_flag() -> RequestError:
    return RequestError("'stream' must be true or false, and embeddings have none.", param="stream")


def _more_than_text(messages: list[Any]) -> bool:
    for message in messages:
        content = message.get("content") if type(message) is dict else None
        if type(content) is list and any(
            type(part) is not dict or part.get("type") != "text" for part in content
        ):
            return True
    return False


def _check_input(body: dict[str, Any], endpoint: Endpoint) -> None:
    name = "prompt" if endpoint == "completions" else "input"
    value = body.get(name)
    if not isinstance(value, (str, list)) or (endpoint == "embeddings" and not value):
        raise RequestError(f"'{name}' must be text or a list of texts.", param=name)


def _check_count(name: str, value: Any) -> None:
    if value is None:
        return
    if type(value) is not int or value < (0 if name == "max_tokens" else 1):
        raise RequestError(f"'{name}' must be a whole number above 0.", param=name)
    if value > (_MOST_ANSWERS if name in ("n", "best_of") else _MOST_TOKENS):
        raise RequestError(f"'{name}' is larger than it may be.", param=name)


def _forbidden(body: dict[str, Any]) -> RequestError:
    name = min(FORBIDDEN & body.keys())
    return RequestError(
        f"'{name}' is not taken here: where a call goes, and on whose account, the gateway's operator "
        "decides. Leave it out and choose by 'model'.",
        param=name,
        code="parameter_not_allowed",
    )
