"""Which models the sandbox serves, by which providers, at what price: invented, but plausible.

The names are real ones, so that a snippet which works here works at Hugging Face; prices, speeds
and limits are not to be relied on.
"""

from __future__ import annotations

import functools
import hashlib
from typing import Any

from trunkline.sandbox.served import Model, Served
from trunkline.sandbox.task_models import TASK_MODELS

CREATED = 1_780_000_000


def _offer(
    provider: str,
    own_name: str,
    prices: tuple[float, float] | None,
    context: int,
    speed: tuple[float, float],
    **more: Any,
) -> Served:
    """Return an offer of a provider that tells everything; `more` are fields that differ."""
    usual: dict[str, Any] = {
        "tools": True,
        "structured": True,
        "latency": speed[0],
        "throughput": speed[1],
    }
    return Served(provider, own_name, prices, context, **{**usual, **more})


_R1 = "deepseek-ai/DeepSeek-R1"
_L33 = "meta-llama/Llama-3.3-70B-Instruct"
_L31 = "meta-llama/Llama-3.1-8B-Instruct"
_L32V = "meta-llama/Llama-3.2-11B-Vision-Instruct"
_Q25 = "Qwen/Qwen2.5-72B-Instruct"
_QVL = "Qwen/Qwen3-VL-30B-A3B-Instruct"
_OSS = "openai/gpt-oss-120b"
_OSS20 = "openai/gpt-oss-20b"
_GLM = "zai-org/GLM-5.2"
_GEMMA = "google/gemma-4-31B-it"
_AYA = "CohereLabs/aya-expanse-32b"
_APERTUS = "swiss-ai/Apertus-8B-Instruct-2509"
_SMOL = "HuggingFaceTB/SmolLM3-3B"

_ROWS = (
    Model(
        _R1,
        (
            _offer("together", _R1, (3.0, 7.0), 163840, (640, 58), tools=False),
            _offer("novita", "deepseek/deepseek-r1", (0.7, 2.5), 64000, (910, 31)),
            _offer(
                "fireworks-ai",
                "accounts/fireworks/models/deepseek-r1",
                (3.0, 8.0),
                163840,
                (480, 96),
            ),
            _offer("sambanova", "DeepSeek-R1", (5.0, 7.0), 32768, (1300, 170), tools=False),
        ),
    ),
    Model(
        _Q25,
        (
            _offer("sambanova", "Qwen2.5-72B-Instruct", (2.0, 4.0), 16384, (300, 210)),
            _offer("novita", "qwen/qwen-2.5-72b-instruct", (0.38, 0.4), 32000, (820, 34)),
            Served("featherless-ai", _Q25, context=32768, latency=1900, throughput=12),
        ),
    ),
    Model(
        _L33,
        (
            _offer("groq", "llama-3.3-70b-versatile", (0.59, 0.79), 131072, (120, 320)),
            _offer("cerebras", "llama-3.3-70b", (0.85, 1.2), 131072, (150, 1900)),
            _offer(
                "together",
                "meta-llama/Llama-3.3-70B-Instruct-Turbo",
                (0.88, 0.88),
                131072,
                (260, 110),
            ),
            _offer("sambanova", "Meta-Llama-3.3-70B-Instruct", (0.6, 1.2), 131072, (310, 290)),
            _offer("novita", "meta-llama/llama-3.3-70b-instruct", (0.13, 0.39), 131072, (760, 38)),
            _offer(
                "fireworks-ai",
                "accounts/fireworks/models/llama-v3p3-70b-instruct",
                (0.9, 0.9),
                131072,
                (340, 120),
            ),
            _offer("nscale", _L33, (0.2, 0.2), 131072, (690, 44), tools=False),
            _offer(
                "scaleway", "llama-3.3-70b-instruct", (0.9299999999999999, 0.93), 100000, (350, 80)
            ),
            _offer(
                "ovhcloud",
                "Meta-Llama-3_3-70B-Instruct",
                (0.74, 0.74),
                131072,
                (420, 64),
                status="error",
            ),
        ),
    ),
    Model(
        _L31,
        (
            _offer(
                "deepinfra",
                "meta-llama/Meta-Llama-3.1-8B-Instruct",
                (0.03, 0.05),
                131072,
                (330, 95),
            ),
            _offer("novita", "meta-llama/llama-3.1-8b-instruct", (0.02, 0.05), 16384, (410, 70)),
            _offer("cerebras", "llama3.1-8b", (0.1, 0.1), 32768, (110, 2100)),
            Served("featherless-ai", _L31, context=16384, latency=1500, throughput=20),
        ),
    ),
    Model(
        _L32V,
        (
            _offer(
                "sambanova",
                "Llama-3.2-11B-Vision-Instruct",
                (0.15, 0.3),
                4096,
                (350, 240),
                tools=False,
            ),
            _offer(
                "together",
                "meta-llama/Llama-3.2-11B-Vision-Instruct-Turbo",
                (0.18, 0.18),
                131072,
                (420, 90),
            ),
        ),
        sees=True,
        pipeline_tag="image-text-to-text",
    ),
    Model(
        _QVL,
        (
            _offer("novita", "qwen/qwen3-vl-30b-a3b-instruct", (0.2, 0.7), 131072, (600, 75)),
            _offer("deepinfra", _QVL, (0.15, 0.6), 262144, (450, 82)),
        ),
        sees=True,
        pipeline_tag="image-text-to-text",
    ),
    Model(
        _OSS,
        (
            _offer("cerebras", "gpt-oss-120b", (0.35, 0.75), 131072, (160, 2700)),
            _offer("groq", _OSS, (0.15, 0.6), 131072, (140, 480)),
            _offer("baseten", _OSS, (0.1, 0.5), 131072, (210, 390)),
            _offer("together", _OSS, (0.15, 0.6), 131072, (330, 140)),
            _offer("scaleway", "gpt-oss-120b", (0.17, 0.69), 131072, (300, 110)),
        ),
    ),
    Model(
        _OSS20,
        (
            _offer("groq", _OSS20, (0.075, 0.3), 131072, (110, 900)),
            _offer("ovhcloud", "gpt-oss-20b", (0.05, 0.18), 131072, (280, 130)),
            _offer("hf-inference", _OSS20, None, 131072, (900, 25)),
        ),
    ),
    Model(
        _GLM,
        (
            _offer("zai-org", "glm-5.2", (0.6, 2.2), 202752, (700, 60)),
            _offer("novita", "zai-org/glm-5.2", (0.55, 2.0), 202752, (900, 48)),
        ),
    ),
    Model(
        _GEMMA,
        (
            _offer("novita", "google/gemma-4-31b-it", (0.14, 0.4), 262144, (650, 52)),
            _offer("deepinfra", _GEMMA, (0.13, 0.38), 262144, (540, 61)),
        ),
        sees=True,
        pipeline_tag="image-text-to-text",
    ),
    Model(_AYA, (_offer("cohere", "c4ai-aya-expanse-32b", (0.5, 1.5), 128000, (380, 88)),)),
    Model(
        _APERTUS,
        (_offer("publicai", "swiss-ai/apertus-8b-instruct", None, 65536, (800, 40), tools=False),),
    ),
    Model(_SMOL, (Served("hf-inference", _SMOL, latency=700, throughput=45),)),
)

MODELS: dict[str, Model] = {row.name: row for row in (*_ROWS, *TASK_MODELS)}

RENAMED = {
    "bert-base-uncased": "google-bert/bert-base-uncased",
    "meta-llama/Meta-Llama-3.1-8B-Instruct": _L31,
}
"""Old names of repositories, and what they are called now."""


def chat_models() -> list[Model]:
    """Return the models that chat."""
    return [model for model in MODELS.values() if model.task == "conversational"]


@functools.cache
def serving_providers() -> frozenset[str]:
    """Return the providers that serve anything here."""
    return frozenset(offer.provider for model in MODELS.values() for offer in model.served)


@functools.cache
def serving_for(task: str) -> frozenset[str]:
    """Return the providers that serve any model for `task`."""
    offers = ((offer, model) for model in MODELS.values() for offer in model.served)
    return frozenset(o.provider for o, model in offers if (o.task or model.task) == task)


@functools.cache
def offers_by_own_name() -> dict[tuple[str, str], list[tuple[Model, Served]]]:
    """Return what each provider serves under its own names."""
    found: dict[tuple[str, str], list[tuple[Model, Served]]] = {}
    for model in MODELS.values():
        for offer in model.served:
            found.setdefault((offer.provider, offer.own_name), []).append((model, offer))
    return found


def router_entry(model: Model) -> dict[str, Any]:
    """Return a model as the router's `/v1/models` lists it."""
    return {
        "id": model.name,
        "object": "model",
        "created": CREATED,
        "owned_by": model.org,
        "architecture": {
            "input_modalities": ["text", "image"] if model.sees else ["text"],
            "output_modalities": ["text"],
        },
        "providers": [_router_offer(model, offer) for offer in model.served],
    }


def mapping(model: Model) -> dict[str, dict[str, Any]]:
    """Return who serves a model, as the Hub's model info tells it."""
    return {offer.provider: _mapped(model, offer) for offer in model.served}


def _mapped(model: Model, offer: Served) -> dict[str, Any]:
    told = {
        "isModelAuthor": offer.provider == model.org,
        "providerId": offer.own_name,
        "status": offer.status,
        "task": offer.task or model.task,
    }
    if offer.lora is None:
        return told
    weights = {"adapterWeightsPath": offer.lora} if offer.lora else {}
    return {**told, "type": "tag-filter", "adapter": "lora", **weights}


def hub_id(name: str) -> str:
    """Return the Hub's inner id of a model, as it could be."""
    return hashlib.blake2b(name.encode(), digest_size=12).hexdigest()


def _router_offer(model: Model, offer: Served) -> dict[str, Any]:
    told = {
        "provider": offer.provider,
        "status": offer.status,
        "context_length": offer.context,
        "pricing": {"input": offer.prices[0], "output": offer.prices[1]} if offer.prices else None,
        "supports_tools": offer.tools,
        "supports_structured_output": offer.structured,
        "first_token_latency_ms": offer.latency,
        "throughput": offer.throughput,
        "is_model_author": offer.provider == model.org,
    }
    return {name: value for name, value in told.items() if value is not None}
