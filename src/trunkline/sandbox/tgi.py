"""Text Generation Inference, emulated: `/generate` and its stream; chat and completions beside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trunkline.dialects.openai_server import RequestError, read_chat
from trunkline.sandbox.answers import tokens
from trunkline.sandbox.asking import Ask
from trunkline.sandbox.completions import complete, completions
from trunkline.sandbox.reply import RefusedError, Reply, json_reply
from trunkline.sandbox.router import speak
from trunkline.sandbox.served import Served
from trunkline.sandbox.visit import Visit
from trunkline.wire import strict_json

MODEL = "sandbox/tgi"
MAX_TOTAL = 4096
MAX_INPUT = 4095
_DEFAULT_NEW = 100
_ENDS = {"stop": "eos_token", "length": "length"}


def serve(visit: Visit, parts: dict[str, str]) -> Reply:
    """Answer a POST of TGI's."""
    page = _POSTS.get(parts["path"].rstrip("/"))
    if page is None:
        raise RefusedError(404, b"")
    return page(visit)


def tell(_: Visit, parts: dict[str, str]) -> Reply:
    """Answer a GET: what runs here, and that it does."""
    path = parts["path"].rstrip("/")
    if path == "/info":
        return json_reply(200, _INFO)
    if path == "/health":
        return Reply(200, (("content-type", "text/plain"),), ())
    if path == "/v1/models":
        entry = {"id": MODEL, "object": "model", "created": 0, "owned_by": MODEL}
        return json_reply(200, {"object": "list", "data": [entry]})
    raise RefusedError(405 if path in _POSTS else 404, b"")


def pipeline(ask: Ask) -> Any:
    """Continue a prompt as hf-inference's root does: a list of one, or a stream."""
    if ask.visit.asked.get("stream"):
        return _stream(ask)
    return [_generated(ask)]


def _compatible(visit: Visit) -> Any:
    answer = pipeline(_ask(visit))
    return answer if isinstance(answer, Reply) else json_reply(200, answer)


def _generate(visit: Visit) -> Reply:
    return json_reply(200, _generated(_ask(visit)))


def _generate_stream(visit: Visit) -> Reply:
    return _stream(_ask(visit))


def _chat(visit: Visit) -> Reply:
    try:
        return speak(visit, read_chat(visit.body), Served("tgi", MODEL))
    except RequestError as wrong:
        raise _invalid(wrong.message) from wrong


def _completions(visit: Visit) -> Reply:
    return completions(visit, MODEL)


_POSTS: dict[str, Callable[[Visit], Reply]] = {
    "": _compatible,
    "/generate": _generate,
    "/generate_stream": _generate_stream,
    "/v1/chat/completions": _chat,
    "/v1/completions": _completions,
}


def _ask(visit: Visit) -> Ask:
    if "inputs" not in visit.asked:
        text = b"Failed to deserialize the JSON body into the target type: missing field `inputs`"
        raise _unread(text)
    parameters = visit.asked.get("parameters") or {}
    return Ask(visit, "text-generation", MODEL, visit.asked["inputs"], parameters)


def _generated(ask: Ask) -> dict[str, Any]:
    text, end, made = _made(ask)
    answer: dict[str, Any] = {"generated_text": text}
    if ask.parameters.get("details"):
        answer["details"] = {
            **_details(ask, end, made),
            "prefill": [],
            "tokens": [_token(ask, i, word) for i, word in enumerate(made)],
        }
    return answer


def _stream(ask: Ask) -> Reply:
    text, end, made = _made(ask)
    last = len(made) - 1
    events = [
        {
            "index": i + 1,
            "token": _token(ask, i, word),
            "generated_text": text if i == last else None,
            "details": _details(ask, end, made) if i == last else None,
        }
        for i, word in enumerate(made)
    ]
    steps = tuple(b"data:" + strict_json.encode(event) + b"\n\n" for event in events)
    typed = ("content-type", "text/event-stream")
    return Reply(200, (typed, ("cache-control", "no-cache")), steps, "chunked")


def _made(ask: Ask) -> tuple[str, str, list[str]]:
    """Return the text, why it ended and its tokens."""
    prompt = ask.inputs
    if not isinstance(prompt, str):
        raise _unread(b"Failed to deserialize the JSON body: inputs: expected a string")
    if not prompt:
        raise _invalid("`inputs` cannot be empty")
    given = ask.parameters
    most = given.get("max_new_tokens") or _DEFAULT_NEW
    if not isinstance(most, int) or most < 1:
        raise _invalid("`max_new_tokens` must be strictly positive")
    size = len(tokens(prompt))
    if size + most > MAX_TOTAL:
        raise _invalid(
            f"`inputs` tokens + `max_new_tokens` must be <= {MAX_TOTAL}. "
            f"Given: {size} `inputs` tokens and {most} `max_new_tokens`"
        )
    grammar = given.get("grammar")
    told = {"max_tokens": most, "seed": given.get("seed"), "stop": given.get("stop")}
    told["response_format"] = {**grammar, "type": "json_object"} if grammar else None
    found = complete(
        ask.visit, ask.model, prompt, {name: value for name, value in told.items() if value}
    )
    choice = found.choices[0]
    text = choice.message.content or ""
    end = _ENDS.get(choice.finish_reason or "", "eos_token")
    if choice.extra.get("stop_reason"):
        end = "stop_sequence"
    return (prompt if given.get("return_full_text") else "") + text, end, tokens(text) or [""]


def _details(ask: Ask, end: str, made: list[str]) -> dict[str, Any]:
    size = len(tokens(str(ask.inputs)))
    told = {"finish_reason": end, "generated_tokens": len(made), "seed": ask.parameters.get("seed")}
    return {**told, "input_length": size}


def _token(ask: Ask, index: int, word: str) -> dict[str, Any]:
    number = int(ask.visit.mark(word)[:4], 16)
    return {"id": number, "text": word, "logprob": -ask.score(index), "special": False}


def _unread(text: bytes) -> RefusedError:
    typed = ("content-type", "text/plain; charset=utf-8")
    return RefusedError.carrying(Reply(422, (typed,), (text,)))


def _invalid(why: str) -> RefusedError:
    told = {"error": f"Input validation error: {why}", "error_type": "validation"}
    return RefusedError(422, told)


_INFO = {
    "model_id": MODEL,
    "model_sha": "0" * 40,
    "model_pipeline_tag": "text-generation",
    "max_concurrent_requests": 128,
    "max_best_of": 2,
    "max_stop_sequences": 4,
    "max_input_tokens": MAX_INPUT,
    "max_total_tokens": MAX_TOTAL,
    "validation_workers": 2,
    "max_client_batch_size": 4,
    "router": "text-generation-router",
    "version": "3.3.4",
    "sha": "0" * 40,
    "docker_label": None,
}
