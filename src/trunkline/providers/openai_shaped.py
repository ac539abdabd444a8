"""The tasks other than chat of every provider that speaks OpenAI's forms, as data.

From huggingface_hub 2.4.0 and @huggingface/inference 4.13.30. A provider that keeps to the forms is
one row, `openai_routes(prefix, tasks)`; where it deviates, it has a route of its own. Providers that
answer with a job are elsewhere.
"""

from __future__ import annotations

import msgspec

from trunkline.dialects.completions import COMPLETIONS
from trunkline.dialects.ocr import LAYOUT_PARSING
from trunkline.dialects.openai_audio import (
    SPEECH,
    SPEECH_TOGETHER,
    TRANSCRIPTION,
    TRANSCRIPTION_TOGETHER,
)
from trunkline.dialects.openai_images import (
    IMAGE_EDIT,
    IMAGE_EDIT_TOGETHER,
    IMAGES,
    IMAGES_HYPERBOLIC,
    IMAGES_IN_BYTES,
    IMAGES_NEBIUS,
    IMAGES_TOGETHER,
)
from trunkline.dialects.openai_tasks import EMBEDDINGS, RERANK
from trunkline.providers.spec import Route

_STEPS = (("num_inference_steps", "steps"),)

OPENAI_TASKS: dict[str, Route] = {
    "automatic-speech-recognition": Route("audio/transcriptions", TRANSCRIPTION),
    "feature-extraction": Route("embeddings", EMBEDDINGS, refuses=frozenset({"pooling"})),
    "image-to-image": Route("images/edits", IMAGE_EDIT),
    "text-generation": Route("completions", COMPLETIONS),
    "text-ranking": Route(
        "rerank", RERANK, renames=(("top_k", "top_n"), ("return_text", "return_documents"))
    ),
    "text-to-image": Route("images/generations", IMAGES),
    "text-to-speech": Route("audio/speech", SPEECH),
}
"""What an OpenAI-compatible server may serve, below an address that ends in `/v1`."""


def openai_routes(prefix: str, *tasks: str, max_batch: int | None = None) -> dict[str, Route]:
    """Return the routes of `tasks` for a provider that serves OpenAI's forms below `prefix`.

    `max_batch` is the most texts that one request for embeddings may have. Raises KeyError for a
    task that OpenAI's forms do not know.
    """
    routes: dict[str, Route] = {}
    for task in tasks:
        route = OPENAI_TASKS[task]
        limit = max_batch if task == "feature-extraction" else None
        routes[task] = msgspec.structs.replace(
            route, path=f"{prefix}/{route.path}", max_batch=limit
        )
    return routes


OPENAI_SHAPED: dict[str, dict[str, Route]] = {
    "deepinfra": {
        **openai_routes(
            "v1/openai",
            "automatic-speech-recognition",
            "feature-extraction",
            "text-generation",
            "text-to-speech",
            max_batch=1024,
        ),
        "text-to-image": Route("v1/openai/images/generations", IMAGES_IN_BYTES),
    },
    "featherless-ai": openai_routes("v1", "text-generation"),
    "hyperbolic": {
        "text-to-image": Route(
            "v1/images/generations",
            IMAGES_HYPERBOLIC,
            renames=(*_STEPS, ("guidance_scale", "cfg_scale")),
        ),
    },
    "nebius": {
        **openai_routes("v1", "feature-extraction", "text-generation"),
        "text-to-image": Route(
            "v1/images/generations", IMAGES_NEBIUS, refuses=frozenset({"guidance_scale"})
        ),
    },
    "novita": openai_routes("v3/openai", "text-generation"),
    "nscale": {
        "text-to-image": Route(
            "v1/images/generations",
            IMAGES_IN_BYTES,
            refuses=frozenset({"cfg_scale", "num_inference_steps"}),
        ),
    },
    "openai": openai_routes(
        "v1",
        "automatic-speech-recognition",
        "feature-extraction",
        "image-to-image",
        "text-generation",
        "text-to-image",
        "text-to-speech",
        max_batch=2048,
    ),
    "ovhcloud": openai_routes("v1", "text-generation"),
    "sambanova": openai_routes("v1", "feature-extraction"),
    "scaleway": openai_routes("v1", "feature-extraction", "text-generation", max_batch=2048),
    "together": {
        **openai_routes("v1", "feature-extraction", "text-generation"),
        "automatic-speech-recognition": Route("v1/audio/transcriptions", TRANSCRIPTION_TOGETHER),
        "image-to-image": Route("v1/images/generations", IMAGE_EDIT_TOGETHER, renames=_STEPS),
        "text-to-image": Route("v1/images/generations", IMAGES_TOGETHER, renames=_STEPS),
        "text-to-speech": Route("v1/audio/speech", SPEECH_TOGETHER),
    },
    "zai-org": {"image-to-text": Route("api/paas/v4/layout_parsing", LAYOUT_PARSING)},
}
"""Routes by provider, then by task.

Batches: OpenAI documents 2,048 texts, and DeepInfra answers 422 beyond 1,024; None is unknown, not
unlimited. Nscale and Nebius refuse here what huggingface_hub leaves out without a word.

Groq serves no completions, though @huggingface/inference posts their bodies to its chat; a text is
continued there by `completion()`. So it was with Hyperbolic's.
"""
