"""Chats through huggingface_hub with `provider=`; run by a test, in a process of its own.

`HF_ENDPOINT` moves that library's Hub. Its router is a constant, replaced here before any client
is made; nothing else of it is touched. Argument 1 is the URL that stands for the router, 2 a JSON object
of providers and models, 3 the key; standard output gets a JSON object of providers and what came of them.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from huggingface_hub import AsyncInferenceClient, InferenceClient, constants

MESSAGES: Any = [{"role": "user", "content": "Hello"}]


def text_of(chunks: list[Any]) -> str:
    return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)


def ask(provider: Any, model: str, key: str) -> dict[str, str | None]:
    with InferenceClient(provider=provider, api_key=key) as client:
        whole = client.chat_completion(MESSAGES, model=model)
        chunks = list(client.chat_completion(MESSAGES, model=model, stream=True))
    return {
        "whole": whole.choices[0].message.content,
        "streamed": text_of(chunks),
        "awaited": asyncio.run(ask_awaiting(provider, model, key)),
        "model": whole.model,
        "ended": next((c.choices[0].finish_reason for c in reversed(chunks) if c.choices), None),
    }


async def ask_awaiting(provider: Any, model: str, key: str) -> str:
    async with AsyncInferenceClient(provider=provider, api_key=key) as client:
        stream = await client.chat_completion(MESSAGES, model=model, stream=True)
        return text_of([chunk async for chunk in stream])


def main() -> None:
    url, pairs, key = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3]
    constants.INFERENCE_PROXY_TEMPLATE = url + "/{provider}"
    answers = {provider: ask(provider, model, key) for provider, model in pairs.items()}
    sys.stdout.write(json.dumps(answers))


if __name__ == "__main__":
    main()
