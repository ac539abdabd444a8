"""Trunkline: one token, every provider. The public names, sorted; nothing is defined here.

    from trunkline import completion
    completion(model="huggingface/together/deepseek-ai/DeepSeek-R1", messages=[...])

Names load on first use, so that importing the package costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trunkline._version import __version__

if TYPE_CHECKING:
    from trunkline.client import (
        AsyncClient as AsyncClient,
        Client as Client,
    )
    from trunkline.compat.litellm import (
        install_as_litellm as install_as_litellm,
    )
    from trunkline.errors import (
        APIConnectionError as APIConnectionError,
        APIError as APIError,
        AuthenticationError as AuthenticationError,
        BadGatewayError as BadGatewayError,
        BadRequestError as BadRequestError,
        ConfigurationError as ConfigurationError,
        ConflictError as ConflictError,
        ContentPolicyViolationError as ContentPolicyViolationError,
        ContextWindowExceededError as ContextWindowExceededError,
        DeadlineExceeded as DeadlineExceeded,
        GatewayTimeoutError as GatewayTimeoutError,
        GenerationError as GenerationError,
        GoneError as GoneError,
        InternalServerError as InternalServerError,
        InvalidInputError as InvalidInputError,
        InvalidResponseError as InvalidResponseError,
        ModelLoadingError as ModelLoadingError,
        ModelNotSupportedError as ModelNotSupportedError,
        NotFoundError as NotFoundError,
        OutputValidationError as OutputValidationError,
        PaymentRequiredError as PaymentRequiredError,
        PermissionDeniedError as PermissionDeniedError,
        RateLimitError as RateLimitError,
        RequestTooLargeError as RequestTooLargeError,
        ServiceUnavailableError as ServiceUnavailableError,
        StreamTruncated as StreamTruncated,
        Timeout as Timeout,
        TrunklineError as TrunklineError,
        UnknownParameterError as UnknownParameterError,
        UnprocessableEntityError as UnprocessableEntityError,
        UnsupportedParamsError as UnsupportedParamsError,
    )
    from trunkline.functions import (
        acompletion as acompletion,
        completion as completion,
        default_async_client as default_async_client,
        default_client as default_client,
        set_default_client as set_default_client,
    )
    from trunkline.streams import (
        AsyncStream as AsyncStream,
        Stream as Stream,
    )
    from trunkline.tools import (
        arun_tools as arun_tools,
        run_tools as run_tools,
    )
    from trunkline.types import (
        Attempt as Attempt,
        Choice as Choice,
        Chunk as Chunk,
        ChunkChoice as ChunkChoice,
        Completion as Completion,
        Delta as Delta,
        Message as Message,
        Receipt as Receipt,
        Timeouts as Timeouts,
        TokenCount as TokenCount,
        ToolCall as ToolCall,
        Usage as Usage,
    )
    from trunkline.media import image_part as image

_HOMES = {
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
        "ModelLoadingError",
        "ModelNotSupportedError",
        "NotFoundError",
        "OutputValidationError",
        "PaymentRequiredError",
        "PermissionDeniedError",
        "RateLimitError",
        "RequestTooLargeError",
        "ServiceUnavailableError",
        "StreamTruncated",
        "Timeout",
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
    "trunkline.streams": (
        "AsyncStream",
        "Stream",
    ),
    "trunkline.tools": (
        "arun_tools",
        "run_tools",
    ),
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
}
_WHERE = {name: (module, name) for module, names in _HOMES.items() for name in names}
_WHERE["image"] = ("trunkline.media", "image_part")

__all__ = [
    "APIConnectionError",
    "APIError",
    "AsyncClient",
    "AsyncStream",
    "Attempt",
    "AuthenticationError",
    "BadGatewayError",
    "BadRequestError",
    "Choice",
    "Chunk",
    "ChunkChoice",
    "Client",
    "Completion",
    "ConfigurationError",
    "ConflictError",
    "ContentPolicyViolationError",
    "ContextWindowExceededError",
    "DeadlineExceeded",
    "Delta",
    "GatewayTimeoutError",
    "GenerationError",
    "GoneError",
    "InternalServerError",
    "InvalidInputError",
    "InvalidResponseError",
    "Message",
    "ModelLoadingError",
    "ModelNotSupportedError",
    "NotFoundError",
    "OutputValidationError",
    "PaymentRequiredError",
    "PermissionDeniedError",
    "RateLimitError",
    "Receipt",
    "RequestTooLargeError",
    "ServiceUnavailableError",
    "Stream",
    "StreamTruncated",
    "Timeout",
    "Timeouts",
    "TokenCount",
    "ToolCall",
    "TrunklineError",
    "UnknownParameterError",
    "UnprocessableEntityError",
    "UnsupportedParamsError",
    "Usage",
    "__version__",
    "acompletion",
    "arun_tools",
    "completion",
    "default_async_client",
    "default_client",
    "image",
    "install_as_litellm",
    "run_tools",
    "set_default_client",
]


def __getattr__(name: str) -> object:
    """Load a public name from the module that defines it."""
    if name not in _WHERE:
        raise AttributeError(f"module 'trunkline' has no attribute {name!r}")
    import importlib

    module, attribute = _WHERE[name]
    value = getattr(importlib.import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names."""
    return sorted({*globals(), *__all__})
