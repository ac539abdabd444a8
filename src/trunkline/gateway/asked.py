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
_COUNTS = ("best_of", "max_completion_tokens", "max_tokens", "n")
_MOST_ANSWERS = 128
_MOST_TOKENS = 1 << 31
_INPUTS = {"chat": "messages", "completions": "prompt", "embeddings": "input"}


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
    stream = body.get("stream")
    if stream is not None and type(stream) is not bool:
        raise RequestError("'stream' must be true or false.", param="stream")
    _check_input(body, endpoint)
    for name in _COUNTS:
        if name in body:
            _check_count(name, body[name])
    if not stream or endpoint == "embeddings":
        return Asked(model, False, body, {}, hide_usage=False)
    return _streamed(model, body)


def _streamed(model: str, body: dict[str, Any]) -> Asked:
    """Ask for usage in every stream, whatever the client asked: the ledger needs it."""
    options = body.get("stream_options")
    if options is not None and type(options) is not dict:
        raise RequestError("'stream_options' must be an object.", param="stream_options")
    if options and options.get("include_usage") is True:
        return Asked(model, True, body, {}, hide_usage=False)
    wanted = strict_json.encode({**(options or {}), "include_usage": True})
    return Asked(model, True, body, {"stream_options": wanted}, hide_usage=True)


def _check_input(body: dict[str, Any], endpoint: Endpoint) -> None:
    name = _INPUTS[endpoint]
    value = body.get(name)
    if endpoint == "chat":
        if type(value) is not list or not value:
            raise RequestError(
                "'messages' must be a list with at least one message.", param="messages"
            )
    elif not isinstance(value, (str, list)) or (endpoint == "embeddings" and not value):
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
