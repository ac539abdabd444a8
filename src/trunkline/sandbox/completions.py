"""What continues a prompt, without a model: OpenAI's text completions, whole and in pieces."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from trunkline.dialects.openai_server import DONE_EVENT, RequestError, error_body
from trunkline.model_id import ModelId
from trunkline.sandbox.answers import CREATED, answer, tokens
from trunkline.sandbox.fault import event_of
from trunkline.sandbox.reply import RefusedError, Reply, json_reply
from trunkline.sandbox.visit import Visit
from trunkline.types import Chat, Completion

_PASSED = ("max_tokens", "n", "seed", "stop", "temperature", "top_p", "logprobs")


def completions(visit: Visit, model: str) -> Reply:
    """Answer a request in the form of OpenAI's `/v1/completions`."""
    asked = visit.asked
    prompts = _prompts(asked.get("prompt"))
    given = {name: asked[name] for name in _PASSED if asked.get(name) is not None}
    found = [complete(visit, model, prompt, given) for prompt in prompts]
    body = {
        "id": f"cmpl-{visit.mark(visit.body)[:24]}",
        "object": "text_completion",
        "created": CREATED,
        "model": model,
    }
    echo = prompts if asked.get("echo") else [""] * len(prompts)
    choices = [
        (start + (choice.message.content or ""), choice.finish_reason)
        for start, whole in zip(echo, found, strict=True)
        for choice in whole.choices
    ]
    usage = _usage(found)
    if asked.get("stream"):
        return _streamed([*_events(body, choices, usage)])
    rows = [{"index": i, **_choice(text, end)} for i, (text, end) in enumerate(choices)]
    return json_reply(200, {**body, "choices": rows, "usage": usage})


def complete(visit: Visit, model: str, prompt: str, given: dict[str, Any]) -> Completion:
    """Return what continues `prompt`; raises RefusedError for parameters that are none."""
    budget = given.get("max_tokens")
    if budget is not None and (
        isinstance(budget, bool) or not isinstance(budget, int) or budget < 1
    ):
        raise refused("'max_tokens' must be a whole number from 1 up.", "max_tokens")
    told = {name: value for name, value in given.items() if name != "logprobs"}
    chat = Chat(ModelId("served", model), [{"role": "user", "content": prompt}], told)
    try:
        return answer(chat, visit.seed, model)
    except RequestError as error:
        raise refused(error.message, error.param) from error


def refused(message: str, param: str | None = None, status: int = 400) -> RefusedError:
    """Return a refusal in OpenAI's form."""
    return RefusedError(status, error_body(message, param=param))


def _prompts(value: Any) -> list[str]:
    rows = value if isinstance(value, list) else [value]
    if not rows or not all(isinstance(row, str) for row in rows):
        raise refused("'prompt' must be text or a list of texts.", "prompt")
    return rows


def _usage(found: list[Completion]) -> dict[str, int]:
    spent = [whole.usage for whole in found if whole.usage is not None]
    asked = sum(usage.prompt_tokens or 0 for usage in spent)
    made = sum(usage.completion_tokens or 0 for usage in spent)
    return {"prompt_tokens": asked, "completion_tokens": made, "total_tokens": asked + made}


def _choice(text: str, end: str | None) -> dict[str, Any]:
    return {"text": text, "logprobs": None, "finish_reason": end}


def _events(
    body: dict[str, Any], choices: list[tuple[str, str | None]], usage: dict[str, int]
) -> Iterator[bytes]:
    last = len(choices) - 1
    for index, (text, end) in enumerate(choices):
        for token in tokens(text):
            yield event_of({**body, "choices": [{"index": index, **_choice(token, None)}]})
        closing = {**body, "choices": [{"index": index, **_choice("", end)}]}
        yield event_of({**closing, "usage": usage} if index == last else closing)
    yield DONE_EVENT


def _streamed(events: list[bytes]) -> Reply:
    typed = ("content-type", "text/event-stream; charset=utf-8")
    return Reply(200, (typed, ("cache-control", "no-cache")), tuple(events), "chunked")
