"""Trunkline: one token, every provider. The public names, sorted; nothing is defined here.

    from trunkline import completion
    completion(model="huggingface/together/deepseek-ai/DeepSeek-R1", messages=[...])

Names load on first use, so that importing the package costs next to nothing; what they are, type
checkers read in `__init__.pyi`.
"""

from __future__ import annotations

from trunkline._version import __version__ as __version__

_HOMES = {
    "trunkline.answer_functions": (
        "amessages",
        "aresponses",
        "atext_completion",
        "messages",
        "responses",
        "text_completion",
    ),
    "trunkline.catalog": (
        "Catalog",
        "ModelEntry",
        "Offer",
        "sum_costs",
    ),
    "trunkline.catalog_functions": (
        "acost",
        "aestimate",
        "amodel_info",
        "amodels",
        "aplan",
        "asupports",
        "cost",
        "estimate",
        "model_info",
        "models",
        "plan",
        "supports",
    ),
    "trunkline.client": (
        "AsyncClient",
        "Client",
    ),
    "trunkline.compat.litellm": ("install_as_litellm",),
    "trunkline.errors": (
        "APIConnectionError",
        "APIError",
        "AuthenticationError",
        "BadGatewayError",
        "BadRequestError",
        "ConfigurationError",
        "ConflictError",
        "ContentPolicyViolationError",
        "ContextWindowExceededError",
        "DeadlineExceeded",
        "GatewayTimeoutError",
        "GenerationError",
        "GoneError",
        "InternalServerError",
        "InvalidInputError",
        "InvalidResponseError",
        "JobCancelledError",
        "JobError",
        "JobFailedError",
        "JobLostError",
        "JobModeratedError",
        "JobUnfinishedError",
        "ModelLoadingError",
        "ModelNotSupportedError",
        "NotFoundError",
        "OutputValidationError",
        "PaymentRequiredError",
        "PermissionDeniedError",
        "RateLimitError",
        "RequestTooLargeError",
        "RouteExhaustedError",
        "ServiceUnavailableError",
        "StreamTruncated",
        "Timeout",
        "ToolRoundsExceeded",
        "TrunklineError",
        "UnknownParameterError",
        "UnprocessableEntityError",
        "UnsupportedParamsError",
    ),
    "trunkline.functions": (
        "acompletion",
        "completion",
        "default_async_client",
        "default_client",
        "set_default_client",
    ),
    "trunkline.planning": (
        "Plan",
        "PlannedPlace",
    ),
    "trunkline.providers.engines": ("Engine",),
    "trunkline.routing.policy": ("Policy",),
    "trunkline.streams": (
        "AsyncEventStream",
        "AsyncStream",
        "EventStream",
        "Stream",
    ),
    "trunkline.task_functions": (
        "aaudio_classification",
        "aaudio_to_audio",
        "acancel_job",
        "adocument_question_answering",
        "aembedding",
        "aendpoint_info",
        "afill_mask",
        "aimage_classification",
        "aimage_edit",
        "aimage_generation",
        "aimage_segmentation",
        "aimage_text_to_image",
        "aimage_text_to_video",
        "aimage_to_text",
        "aimage_to_video",
        "aobject_detection",
        "aquestion_answering",
        "arerank",
        "aresume_job",
        "asentence_similarity",
        "asparse_embedding",
        "aspeech",
        "asummarization",
        "atable_question_answering",
        "atabular_classification",
        "atabular_regression",
        "atext_classification",
        "atext_to_audio",
        "atext_to_video",
        "atoken_classification",
        "atranscription",
        "atranslation",
        "audio_classification",
        "audio_to_audio",
        "avisual_question_answering",
        "azero_shot_classification",
        "azero_shot_image_classification",
        "cancel_job",
        "document_question_answering",
        "embedding",
        "endpoint_info",
        "fill_mask",
        "image_classification",
        "image_edit",
        "image_generation",
        "image_segmentation",
        "image_text_to_image",
        "image_text_to_video",
        "image_to_text",
        "image_to_video",
        "object_detection",
        "question_answering",
        "rerank",
        "resume_job",
        "sentence_similarity",
        "sparse_embedding",
        "speech",
        "summarization",
        "table_question_answering",
        "tabular_classification",
        "tabular_regression",
        "text_classification",
        "text_to_audio",
        "text_to_video",
        "token_classification",
        "transcription",
        "translation",
        "visual_question_answering",
        "zero_shot_classification",
        "zero_shot_image_classification",
    ),
    "trunkline.tool_loop": (
        "ToolRun",
        "arun_tools",
        "run_tools",
    ),
    "trunkline.tools": ("function_tool",),
    "trunkline.types": (
        "Attempt",
        "Choice",
        "Chunk",
        "ChunkChoice",
        "Completion",
        "Delta",
        "Message",
        "Receipt",
        "Timeouts",
        "TokenCount",
        "ToolCall",
        "Usage",
    ),
    "trunkline.types.anthropic": (
        "AnthropicMessage",
        "MessageEvent",
    ),
    "trunkline.types.cost": (
        "Cost",
        "Estimate",
    ),
    "trunkline.types.job": (
        "Job",
        "JobProgress",
        "parse_job",
    ),
    "trunkline.types.media": (
        "Blob",
        "Media",
    ),
    "trunkline.types.parameters": ("TaskOptions",),
    "trunkline.types.response_events": ("ResponseEvent",),
    "trunkline.types.responses": ("Response",),
    "trunkline.types.results": (
        "Answer",
        "AudioPart",
        "Box",
        "Detection",
        "Embedding",
        "EmbeddingResponse",
        "Entity",
        "Filling",
        "ImageResponse",
        "Items",
        "Label",
        "RerankResponse",
        "RerankResult",
        "Segment",
        "TableAnswer",
        "TextChoice",
        "TextCompletion",
        "TextOutput",
        "TranscriptChunk",
        "Transcription",
    ),
}
_WHERE = {name: (module, name) for module, names in _HOMES.items() for name in names}
_WHERE["image"] = ("trunkline.media", "image_part")

__all__ = ["__version__", *sorted(_WHERE)]  # noqa: PLE0604  # pyright: ignore[reportUnsupportedDunderAll]  # the table's names


def __getattr__(name: str) -> object:
    """Load a public name from the module that defines it."""
    if name not in _WHERE:
        raise AttributeError(f"module 'trunkline' has no attribute {name!r}")
    import importlib  # loaded already by Python itself; here it costs nothing at start-up

    module, attribute = _WHERE[name]
    value: object = getattr(importlib.import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names."""
    return sorted({*globals(), *__all__})
