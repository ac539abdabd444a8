"""hf-inference: Hugging Face's own inference, task by task.

Paths lie below `https://router.huggingface.co/hf-inference`, with a token of Hugging Face or none.
"""

from __future__ import annotations

from trunkline.dialects.completions import COMPLETIONS
from trunkline.dialects.pipelines import PIPELINES
from trunkline.providers.spec import Route

_MODEL = "models/{model}"

HF_INFERENCE_TASKS: dict[str, Route] = {
    **{task: Route(_MODEL, shape) for task, shape in PIPELINES.items()},
    "feature-extraction": Route(
        f"{_MODEL}/pipeline/feature-extraction",
        PIPELINES["feature-extraction"],
        refuses=frozenset({"user"}),
    ),
    "sentence-similarity": Route(
        f"{_MODEL}/pipeline/sentence-similarity", PIPELINES["sentence-similarity"]
    ),
    "text-generation": Route(f"{_MODEL}/v1/completions", COMPLETIONS),
}
"""Where each task lives, by the Hub's names. A model with both sentence tasks is told by the path."""
