"""Every provider, as data: addresses, paths and quirks.

From huggingface_hub 2.4.0 and @huggingface/inference 4.13.30 (October 2026); the providers with a
`dropped` date left Hugging Face's routing on that day and are kept for their own keys.
"""

from __future__ import annotations

import difflib

from trunkline.providers import tune
from trunkline.providers.spec import Provider

_V1 = "v1/chat/completions"
_JULY_2026 = "2026-07-01"

_ROWS = (
    Provider("baseten", "Baseten", "https://inference.baseten.co", _V1),
    Provider(
        "cerebras", "Cerebras", "https://api.cerebras.ai", _V1, chat_refuses=frozenset({"store"})
    ),
    Provider(
        "cohere",
        "Cohere",
        "https://api.cohere.com",
        "compatibility/v1/chat/completions",
        tune=tune.schema_in_json_object,
    ),
    Provider("deepinfra", "DeepInfra", "https://api.deepinfra.com", "v1/openai/chat/completions"),
    Provider("fal-ai", "Fal AI", "https://fal.run", scheme="Key"),
    Provider("featherless-ai", "Featherless AI", "https://api.featherless.ai", _V1),
    Provider(
        "fireworks-ai",
        "Fireworks",
        "https://api.fireworks.ai",
        "inference/v1/chat/completions",
        tune=tune.schema_in_json_object,
    ),
    Provider("groq", "Groq", "https://api.groq.com", "openai/v1/chat/completions"),
    Provider(
        "hf-inference",
        "HF Inference",
        "https://router.huggingface.co/hf-inference",
        "models/{model}/v1/chat/completions",
        tune=tune.value_in_json_object,
        maps_models=False,
    ),
    Provider("novita", "Novita", "https://api.novita.ai", "v3/openai/chat/completions"),
    Provider("nscale", "Nscale", "https://inference.api.nscale.com", _V1),
    Provider("openai", "OpenAI", "https://api.openai.com", _V1, maps_models=False),
    Provider(
        "ovhcloud",
        "OVHcloud",
        "https://oai.endpoints.kepler.ai.cloud.ovh.net",
        _V1,
        region="eu",
    ),
    Provider("publicai", "Public AI", "https://api.publicai.co", _V1),
    Provider("replicate", "Replicate", "https://api.replicate.com"),
    Provider("scaleway", "Scaleway", "https://api.scaleway.ai", _V1, region="eu"),
    Provider(
        "together", "Together", "https://api.together.xyz", _V1, tune=tune.flattened_json_schema
    ),
    Provider("wavespeed", "WaveSpeedAI", "https://api.wavespeed.ai"),
    Provider(
        "zai-org",
        "Z.ai",
        "https://api.z.ai",
        "api/paas/v4/chat/completions",
        headers=(("x-source-channel", "hugging_face"), ("accept-language", "en-US,en")),
    ),
    Provider(
        "black-forest-labs",
        "BFL",
        "https://api.us1.bfl.ai",
        scheme="",
        auth_header="x-key",
        dropped=_JULY_2026,
    ),
    Provider(
        "clarifai",
        "Clarifai",
        "https://api.clarifai.com",
        "v2/ext/openai/v1/chat/completions",
        dropped=_JULY_2026,
    ),
    Provider("hyperbolic", "Hyperbolic", "https://api.hyperbolic.xyz", _V1, dropped=_JULY_2026),
    Provider(
        "nebius",
        "Nebius",
        "https://api.studio.nebius.ai",
        _V1,
        tune=tune.guided_json,
        dropped=_JULY_2026,
    ),
    Provider("nvidia", "NVIDIA", "https://integrate.api.nvidia.com", _V1, dropped=_JULY_2026),
    Provider(
        "sambanova",
        "SambaNova",
        "https://api.sambanova.ai",
        _V1,
        tune=tune.lax_json_schema,
        dropped=_JULY_2026,
    ),
)

PROVIDERS: dict[str, Provider] = {row.name: row for row in _ROWS}


def provider_hint(name: str) -> str | None:
    """Return what is known about a provider that an error names: dropped, or misspelt.

    Only ever a hint: Hugging Face changes its list without us, so its own answer decides.
    """
    known = PROVIDERS.get(name)
    if known is None:
        near = difflib.get_close_matches(name, PROVIDERS, n=1, cutoff=0.6)
        meant = f" Did you mean {near[0]!r}?" if near else ""
        return f"No provider {name!r} is known here.{meant}"
    if known.dropped:
        return (
            f"Hugging Face dropped {known.title} ({name}) on {known.dropped}. A key of its own "
            f"still works: pass it as token=. Or leave the provider out of the model string."
        )
    return None
