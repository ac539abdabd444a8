"""Servers of one model at an address of their own: OpenAI's form, TEI, TGI, toolkits' pipelines.

Paths lie below the address that the caller gave.
"""

from __future__ import annotations

from trunkline.dialects.openai_tasks import EMBEDDINGS
from trunkline.dialects.openai_videos import VIDEO
from trunkline.dialects.pipelines import PIPELINES
from trunkline.dialects.tei import EMBED, EMBED_SPARSE, PREDICT, RERANK, SIMILARITY
from trunkline.dialects.tgi import GENERATE
from trunkline.providers.openai_shaped import OPENAI_TASKS, openai_routes
from trunkline.providers.spec import Route

_TEI_BATCH = 32
"""`--max-client-batch-size` of TEI, unless it was started with another."""

TEI_TASKS: dict[str, Route] = {
    "feature-extraction": Route("embed", EMBED, refuses=frozenset({"user"}), max_batch=_TEI_BATCH),
    "sentence-similarity": Route("similarity", SIMILARITY, max_batch=_TEI_BATCH),
    "text-classification": Route("predict", PREDICT, refuses=frozenset({"function_to_apply"})),
    "sparse-embedding": Route("embed_sparse", EMBED_SPARSE, max_batch=_TEI_BATCH),
    "text-ranking": Route("rerank", RERANK, max_batch=_TEI_BATCH),
}

TEI_TOKENS = Route("embed_all", EMBED, max_batch=_TEI_BATCH)
"""feature-extraction with `pooling`: a vector for each token, pooled here or left as it is."""

TGI_TASKS: dict[str, Route] = {
    "text-generation": Route(
        "generate",
        GENERATE,
        refuses=frozenset({"logprobs", "n", "presence_penalty", "suffix"}),
    )
}
"""What it refuses it would overlook: they are not among its parameters."""

PIPELINE_TASKS: dict[str, Route] = {
    **{task: Route("", shape) for task, shape in PIPELINES.items()},
    "feature-extraction": Route("", PIPELINES["feature-extraction"], refuses=frozenset({"user"})),
}
"""Every task is posted to the address itself."""

_VIDEOS = ("image-text-to-video", "image-to-video", "text-to-video")

SERVED: dict[str, dict[str, Route]] = {
    "openai": {
        **openai_routes("v1", *OPENAI_TASKS),
        "feature-extraction": Route("v1/embeddings", EMBEDDINGS),
        **dict.fromkeys(_VIDEOS, Route("v1/videos", VIDEO)),
    },
    "tei": TEI_TASKS,
    "tgi": TGI_TASKS,
}
"""The tasks of each engine that an address may turn out to have."""
