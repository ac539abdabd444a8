"""What a client asks for, read strictly: whatever is wrong with it is said before anything is sent. Pure.

Fields that nobody here knows are the upstream's affair and pass. Those that would choose where a call
goes, or on whose account, are refused.
"""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.dialects.openai_server import RequestError
from trunkline.store.records import Endpoint
from trunkline.wire import strict_json

MEDIA: frozenset[Endpoint] = frozenset({"audio", "images", "rerank", "videos"})
"""Endpoints whose calls the SDK carries, whatever the upstream."""

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
_LONGEST_NAME = 500
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
    most_output: int | None = None
    """The longest answer that it asks for, in tokens."""
    answers: int = 1
    """How many are generated: `n`, or `best_of`, for each prompt."""
    most_input: int | None = None
    """Tokens that it can have at most, where neither chat nor text bounds them."""
    wish: Any = None
    """The request as the SDK is asked, where its target speaks another dialect."""


_UNCHANGED: dict[str, bytes | None] = {}
_UNUSUAL = FORBIDDEN | _COUNTS - {"max_tokens"} | {"extra_body", "stream"}


def read_asked(data: bytes, endpoint: Endpoint) -> Asked:
    """Read a request's body; raises RequestError, naming the parameter."""
    try:
        body = strict_json.decode_strict(data)
    except strict_json.JsonError as error:
        raise RequestError(f"The body is not valid JSON: {error}.", code="invalid_json") from error
    if type(body) is not dict:
        raise RequestError("The body must be a JSON object.")
    model, most = body.get("model"), body.get("max_tokens")
    if type(model) is not str or not 0 < len(model) <= _LONGEST_NAME:
        raise _forbidden(body) or _no_model(model)
    if endpoint == "responses":
        return _response(model, body)
    if endpoint == "messages":
        return _message(model, body)
    if most is not None:
        _check_count("max_tokens", most)
    more = False
    if endpoint == "chat":
        messages = body.get("messages")
        if type(messages) is not list or not messages:
            raise _forbidden(body) or RequestError(
                "'messages' must be a list with at least one message.", param="messages"
            )
        more = _more_than_text(messages)
    else:
        _check_input(body, endpoint)
    if _UNUSUAL.isdisjoint(body):
        return Asked(model, False, body, _UNCHANGED, False, more, most, _prompts(body, endpoint))
    return _unusual(model, body, endpoint, more=more)


def _unusual(model: str, body: dict[str, Any], endpoint: Endpoint, *, more: bool) -> Asked:
    """Read what most requests do not have: streams, counts, and what is not taken."""
    forbidden = _forbidden(body)
    if forbidden is not None:
        raise forbidden
    for name in _COUNTS:
        _check_count(name, body.get(name))
    lengths = [body.get("max_tokens"), body.get("max_completion_tokens")]
    most = max([count for count in lengths if count is not None], default=None)
    answers = max(body.get("n") or 1, body.get("best_of") or 1) * _prompts(body, endpoint)
    stream = body.get("stream")
    if stream is None or stream is False:
        return Asked(model, False, body, _UNCHANGED, False, more, most, answers)
    if stream is not True or endpoint == "embeddings":
        raise _no_flag()
    changes, hide = _with_usage(body.get("stream_options"))
    return Asked(model, True, body, changes, hide, more, most, answers)


def _message(model: str, body: dict[str, Any]) -> Asked:
    """Read a request for a message; what its blocks say is for those who answer it."""
    forbidden = _forbidden(body)
    if forbidden is not None:
        raise forbidden
    most, messages, stream = body.get("max_tokens"), body.get("messages"), body.get("stream")
    _check_count("max_tokens", most)
    if type(messages) is not list or not messages:
        raise RequestError("'messages' must be a list with at least one message.", param="messages")
    if stream is not None and type(stream) is not bool:
        raise RequestError("'stream' must be true or false.", param="stream")
    more = not _words_alone(messages) or _more_than_custom(body.get("tools"))
    more = more or any(body.get(name) for name in ("container", "mcp_servers", "thread"))
    return Asked(model, stream is True, body, _UNCHANGED, False, more, most)


def _more_than_custom(tools: Any) -> bool:
    return type(tools) is list and any(
        type(tool) is not dict or tool.get("type") not in (None, "custom") for tool in tools
    )


_WORDS = ("text", "thinking", "tool_result", "tool_use")


def _words_alone(content: Any) -> bool:
    """Tell whether messages, or blocks, are of text alone, so that their size bounds their tokens."""
    if type(content) is not list:
        return True
    for item in content:
        if type(item) is not dict or ("role" not in item and item.get("type") not in _WORDS):
            return False
        if not _words_alone(item.get("content")):
            return False
    return True


_SAID = ("input_text", "output_text", "refusal")
_ELSEWHERE = ("conversation", "previous_response_id", "prompt")
"""What names a prompt that is kept where the response is made."""


def _response(model: str, body: dict[str, Any]) -> Asked:
    """Read a request for a response; what its items say is for those who answer it."""
    forbidden = _forbidden(body)
    if forbidden is not None:
        raise forbidden
    most, given, stream = body.get("max_output_tokens"), body.get("input"), body.get("stream")
    _check_count("max_output_tokens", most)
    kept = any(body.get(name) for name in _ELSEWHERE)
    if type(given) is not str and not (type(given) is list and given) and not kept:
        raise RequestError("'input' must be text or a list with at least one item.", param="input")
    if body.get("background"):
        raise RequestError(
            "'background' is not taken here: calls are answered while their client waits.",
            param="background",
            code="unsupported_parameter",
        )
    if stream is not None and type(stream) is not bool:
        raise RequestError("'stream' must be true or false.", param="stream")
    more = kept or _more_than_items(given) or _more_than_functions(body.get("tools"))
    # some servers stream unless they are told not to
    changes: dict[str, bytes | None] = _UNCHANGED if "stream" in body else {"stream": b"false"}
    return Asked(model, stream is True, body, changes, False, more, most)


def _more_than_items(given: Any) -> bool:
    """Tell whether a response's input has what its size does not bound."""
    for item in given if type(given) is list else ():
        if type(item) is not dict or item.get("type") == "item_reference":
            return True
        content = item.get("content") if "role" in item else item.get("output")
        if type(content) is list and any(
            type(part) is not dict or part.get("type") not in _SAID for part in content
        ):
            return True
    return False


def _more_than_functions(tools: Any) -> bool:
    """Tell whether tools of the server's can bring something into the prompt."""
    return type(tools) is list and any(
        type(tool) is not dict or tool.get("type") not in ("custom", "function") for tool in tools
    )


def _with_usage(options: Any) -> tuple[dict[str, bytes | None], bool]:
    """Ask for usage in every stream, whatever the client asked: the ledger needs it.

    Returns what is changed for that, and whether the frame with usage is to be hidden.
    """
    if options is not None and type(options) is not dict:
        raise RequestError("'stream_options' must be an object.", param="stream_options")
    if options and options.get("include_usage") is True:
        return _UNCHANGED, False
    wanted = strict_json.encode({**(options or {}), "include_usage": True})
    return {"stream_options": wanted}, True


def _no_model(model: Any) -> RequestError:
    if isinstance(model, str) and model:
        message = f"'model' has {len(model)} characters, more than any name ({_LONGEST_NAME})."
        return RequestError(message, param="model")
    return RequestError("You must provide a model parameter.", param="model")


def _no_flag() -> RequestError:
    return RequestError("'stream' must be true or false, and embeddings have none.", param="stream")


def _more_than_text(messages: list[Any]) -> bool:
    for message in messages:
        content = message.get("content") if type(message) is dict else None
        if content is None or type(content) is str:
            continue
        if type(content) is not list or any(
            type(part) is not dict or part.get("type") != "text" for part in content
        ):
            return True
    return False


def _prompts(body: dict[str, Any], endpoint: Endpoint) -> int:
    """Return how many texts are to be continued; a list of numbers is one, as tokens."""
    prompt = body["prompt"] if endpoint == "completions" else None
    if type(prompt) is list and prompt and type(prompt[0]) is not int:
        return len(prompt)
    return 1


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


def check_fields(fields: dict[str, Any]) -> None:
    """Raise RequestError for fields of a request that no endpoint takes, and for no model's name."""
    forbidden = _forbidden(fields)
    if forbidden is not None:
        raise forbidden
    model = fields.get("model")
    if type(model) is not str or not 0 < len(model) <= _LONGEST_NAME:
        raise _no_model(model)


def _forbidden(body: dict[str, Any]) -> RequestError | None:
    inner = body.get("extra_body")  # what clients unfold before they send; some servers do after
    named = FORBIDDEN & {*body, *(inner if type(inner) is dict else ())}
    if not named:
        return None
    name = min(named)
    return RequestError(
        f"'{name}' is not taken here: where a call goes, and on whose account, the gateway's operator "
        "decides. Leave it out and choose by 'model'.",
        param=name,
        code="parameter_not_allowed",
    )
