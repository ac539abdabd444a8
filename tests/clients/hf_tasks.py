"""Every task of every provider through huggingface_hub at a gateway; run by a test, in a process of its own.

Two lines lead that library to a gateway: the template of its router, set before its clients are
imported, and a key that begins as Hugging Face's do. `HF_ENDPOINT` and `HF_TOKEN` lead its look-ups
there, too. Argument 1 is the gateway's URL, 2 the key; standard output gets a JSON object of what came.
"""

from __future__ import annotations

import asyncio
import json
import sys
import traceback
from collections.abc import Iterator
from typing import Any

from huggingface_hub import constants

URL, KEY = sys.argv[1:3]
constants.INFERENCE_PROXY_TEMPLATE = URL + "/hf/{provider}"

import hub_tasks  # noqa: E402 - imports the clients
from huggingface_hub import AsyncInferenceClient, InferenceClient  # noqa: E402
from huggingface_hub.errors import HfHubHTTPError  # noqa: E402
from huggingface_hub.inference._providers import PROVIDERS  # noqa: E402
from samples import png, wav  # noqa: E402

from trunkline.sandbox.models import MODELS  # noqa: E402

SIZE = {"width": 64, "height": 32}
CHAT = [{"role": "user", "content": "Hello"}]
ARGUMENTS: dict[str, dict[str, Any]] = {
    "audio-classification": {"audio": wav()},
    "audio-to-audio": {"audio": wav()},
    "automatic-speech-recognition": {"audio": wav()},
    "conversational": {"messages": CHAT},
    "document-question-answering": {"image": png(), "question": "Where?"},
    "feature-extraction": {"text": "hi"},
    "fill-mask": {"text": "A [MASK] day"},
    "image-classification": {"image": png()},
    "image-segmentation": {"image": png(8, 4)},
    "image-to-image": {"image": png(), "prompt": "blue"},
    "image-to-text": {"image": png()},
    "image-to-video": {"image": png(), "prompt": "zoom"},
    "object-detection": {"image": png(8, 4)},
    "question-answering": {"question": "Where?", "context": "Where? Here."},
    "sentence-similarity": {"sentence": "a", "other_sentences": ["b", "c"]},
    "summarization": {"text": "One. Two."},
    "table-question-answering": {"table": {"a": ["1", "2"]}, "query": "how many?"},
    "tabular-classification": {"table": {"a": ["1", "2"]}},
    "tabular-regression": {"table": {"a": ["1", "2"]}},
    "text-classification": {"text": "good"},
    "text-generation": {"prompt": "Once", "max_new_tokens": 5},
    "text-to-image": {"prompt": "a cat", **SIZE},
    "text-to-speech": {"text": "hello"},
    "text-to-video": {"prompt": "a dog"},
    "token-classification": {"text": "Paris"},
    "translation": {"text": "Hello"},
    "visual-question-answering": {"image": png(), "question": "Where?"},
    "zero-shot-classification": {"text": "space", "candidate_labels": ["space", "tax"]},
    "zero-shot-image-classification": {"image": png(), "candidate_labels": ["cat", "dog"]},
}
"""What each task is asked, under the names that the library has for it."""
WITH_VOICE = {("together", "text-to-speech")}
"""Who speaks with no voice that is not named."""


def pairs() -> Iterator[tuple[str, str, str]]:
    """Yield every provider and task that the library has, and the sandbox a live model for."""
    for provider, tasks in PROVIDERS.items():
        for task in tasks:
            model = next((m.name for m in MODELS.values() for s in m.served
                          if s.provider == provider and (s.task or m.task) == task
                          and s.status == "live" and s.lora is None), None)  # fmt: skip
            if model is not None and provider != "openai":
                yield provider, task, model


def asked(client: Any, provider: str, task: str, model: str) -> Any:
    """Ask, or return what to await."""
    method = {"conversational": "chat_completion"}.get(task, task.replace("-", "_"))
    more = {"extra_body": {"voice": "af_alloy"}} if (provider, task) in WITH_VOICE else {}
    return getattr(client, method)(model=model, **ARGUMENTS[task], **more)


def shown(value: Any) -> str:
    return "nothing" if value is None else type(value).__name__


def failed() -> str:
    return traceback.format_exc(limit=-2)


def blocking() -> dict[str, str]:
    found = {}
    for provider, task, model in pairs():
        client: Any = InferenceClient(provider=provider, api_key=KEY)
        try:
            found[f"{provider} {task}"] = shown(asked(client, provider, task, model))
        except Exception:
            found[f"{provider} {task}"] = failed()
    return found


async def awaited() -> dict[str, str]:
    found = {}
    for provider, task, model in pairs():
        client: Any = AsyncInferenceClient(provider=provider, api_key=KEY)
        async with client:
            try:
                found[f"{provider} {task}"] = shown(await asked(client, provider, task, model))
            except Exception:
                found[f"{provider} {task}"] = failed()
    return found


def refused() -> dict[str, Any]:
    """What goes wrong, as that library tells it."""
    found: dict[str, Any] = {}
    chat: Any = CHAT
    rows = {
        "key": ("hf_nobodys", hub_tasks.LLAMA),
        "limit": (KEY, "conversational/fault-429"),
        "credential": (KEY, "conversational/fault-401"),
    }
    for name, (key, model) in rows.items():
        client = InferenceClient(provider="groq", api_key=key)
        try:
            client.chat_completion(chat, model=model)
        except HfHubHTTPError as error:
            found[name] = [error.response.status_code, str(error), error.request_id]
    return found


def unified() -> list[str | None]:
    """The router's one route for chats, below the same address."""
    client = InferenceClient(base_url=f"{URL}/hf/v1", api_key=KEY)
    chat: Any = CHAT
    whole = client.chat_completion(chat, model=hub_tasks.LLAMA)
    return [whole.choices[0].message.content, whole.model]


def main() -> None:
    hub_tasks.KEY = KEY
    found = {
        "blocking": blocking(),
        "awaited": asyncio.run(awaited()),
        "told": {
            **hub_tasks.pictures(),
            **hub_tasks.sounds_and_videos(),
            **hub_tasks.texts(),
        },
        "refused": refused(),
        "unified": unified(),
    }
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
