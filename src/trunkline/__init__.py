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
    )
    from trunkline.client import (
        Client as Client,
    )
    from trunkline.compat.litellm import (
        install_as_litellm as install_as_litellm,
    )
    from trunkline.errors import (
        APIConnectionError as APIConnectionError,
    )
    from trunkline.errors import (
        APIError as APIError,
    )
    from trunkline.errors import (
        AuthenticationError as AuthenticationError,
    )
    from trunkline.errors import (
        BadGatewayError as BadGatewayError,
    )
    from trunkline.errors import (
        BadRequestError as BadRequestError,
    )
    from trunkline.errors import (
        ConfigurationError as ConfigurationError,
    )
    from trunkline.errors import (
        ConflictError as ConflictError,
    )
    from trunkline.errors import (
        ContentPolicyViolationError as ContentPolicyViolationError,
    )
    from trunkline.errors import (
        ContextWindowExceededError as ContextWindowExceededError,
    )
    from trunkline.errors import (
        DeadlineExceeded as DeadlineExceeded,
    )
    from trunkline.errors import (
        GatewayTimeoutError as GatewayTimeoutError,
    )
    from trunkline.errors import (
        GenerationError as GenerationError,
    )
    from trunkline.errors import (
        GoneError as GoneError,
    )
    from trunkline.errors import (
        InternalServerError as InternalServerError,
    )
    from trunkline.errors import (
        InvalidInputError as InvalidInputError,
    )
    from trunkline.errors import (
        InvalidResponseError as InvalidResponseError,
    )
    from trunkline.errors import (
        ModelLoadingError as ModelLoadingError,
    )
    from trunkline.errors import (
        ModelNotSupportedError as ModelNotSupportedError,
    )
    from trunkline.errors import (
        NotFoundError as NotFoundError,
    )
    from trunkline.errors import (
        OutputValidationError as OutputValidationError,
    )
    from trunkline.errors import (
        PaymentRequiredError as PaymentRequiredError,
    )
    from trunkline.errors import (
        PermissionDeniedError as PermissionDeniedError,
    )
    from trunkline.errors import (
        RateLimitError as RateLimitError,
    )
    from trunkline.errors import (
        RequestTooLargeError as RequestTooLargeError,
    )
    from trunkline.errors import (
        ServiceUnavailableError as ServiceUnavailableError,
    )
    from trunkline.errors import (
        StreamTruncated as StreamTruncated,
    )
    from trunkline.errors import (
        Timeout as Timeout,
    )
    from trunkline.errors import (
        ToolRoundsExceeded as ToolRoundsExceeded,
    )
    from trunkline.errors import (
        TrunklineError as TrunklineError,
    )
    from trunkline.errors import (
        UnknownParameterError as UnknownParameterError,
    )
    from trunkline.errors import (
        UnprocessableEntityError as UnprocessableEntityError,
    )
    from trunkline.errors import (
        UnsupportedParamsError as UnsupportedParamsError,
    )
    from trunkline.functions import (
        acompletion as acompletion,
    )
    from trunkline.functions import (
        completion as completion,
    )
    from trunkline.functions import (
        default_async_client as default_async_client,
    )
    from trunkline.functions import (
        default_client as default_client,
    )
    from trunkline.functions import (
        set_default_client as set_default_client,
    )
    from trunkline.media import image_part as image
    from trunkline.streams import (
        AsyncStream as AsyncStream,
    )
    from trunkline.streams import (
        Stream as Stream,
    )
    from trunkline.tool_loop import (
        ToolRun as ToolRun,
    )
    from trunkline.tool_loop import (
        arun_tools as arun_tools,
    )
    from trunkline.tool_loop import (
        run_tools as run_tools,
    )
    from trunkline.tools import (
        function_tool as function_tool,
    )
    from trunkline.types import (
        Attempt as Attempt,
    )
    from trunkline.types import (
        Choice as Choice,
    )
    from trunkline.types import (
        Chunk as Chunk,
    )
    from trunkline.types import (
        ChunkChoice as ChunkChoice,
    )
    from trunkline.types import (
        Completion as Completion,
    )
    from trunkline.types import (
        Delta as Delta,
    )
    from trunkline.types import (
        Message as Message,
    )
    from trunkline.types import (
        Receipt as Receipt,
    )
    from trunkline.types import (
        Timeouts as Timeouts,
    )
    from trunkline.types import (
        TokenCount as TokenCount,
    )
    from trunkline.types import (
        ToolCall as ToolCall,
    )
    from trunkline.types import (
        Usage as Usage,
    )

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
    "trunkline.streams": (
        "AsyncStream",
        "Stream",
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
    "ToolRoundsExceeded",
    "ToolRun",
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
    "function_tool",
    "image",
    "install_as_litellm",
    "run_tools",
    "set_default_client",
]


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
