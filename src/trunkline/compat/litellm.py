"""`import litellm`, answered by Trunkline: the names its users call for chat, and their keywords.

After `trunkline.install_as_litellm()`, `from litellm import completion, acompletion` works. What
is not here says so by name instead of doing something else.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import trunkline
from trunkline import errors, functions, types
from trunkline.errors import ConfigurationError, InvalidInputError

_RENAMED = {
    "base_url": "api_base",
    "num_retries": "max_retries",
    "request_timeout": "timeout",
    "headers": "extra_headers",
}
_WITHOUT_EFFECT = frozenset(
    {"logger_fn", "verbose", "litellm_call_id", "litellm_logging_obj", "litellm_metadata"}
)
_SETTINGS: dict[str, Any] = {
    "set_verbose": False,
    "suppress_debug_info": False,
    "telemetry": False,
}
_ERRORS = {
    "APIConnectionError": errors.APIConnectionError,
    "APIError": errors.APIError,
    "APIResponseValidationError": errors.InvalidResponseError,
    "AuthenticationError": errors.AuthenticationError,
    "BadGatewayError": errors.BadGatewayError,
    "BadRequestError": errors.BadRequestError,
    "ContentPolicyViolationError": errors.ContentPolicyViolationError,
    "ContextWindowExceededError": errors.ContextWindowExceededError,
    "InternalServerError": errors.InternalServerError,
    "InvalidRequestError": errors.BadRequestError,
    "JSONSchemaValidationError": errors.OutputValidationError,
    "NotFoundError": errors.NotFoundError,
    "OpenAIError": errors.TrunklineError,
    "PermissionDeniedError": errors.PermissionDeniedError,
    "RateLimitError": errors.RateLimitError,
    "ServiceUnavailableError": errors.ServiceUnavailableError,
    "Timeout": errors.Timeout,
    "UnprocessableEntityError": errors.UnprocessableEntityError,
    "UnsupportedParamsError": errors.UnsupportedParamsError,
}


_TASKS = {
    "embedding": ("model", "input"),
    "image_edit": ("image", "prompt", "model"),
    "image_generation": ("prompt", "model"),
    "rerank": ("model", "query", "documents"),
    "speech": ("model", "input", "voice"),
    "text_completion": ("prompt", "model"),
    "transcription": ("model", "file"),
}
"""Functions beside chat, and LiteLLM's order of their arguments."""
_RESULTS = {
    "EmbeddingResponse": "trunkline.types.results",
    "ImageResponse": "trunkline.types.results",
    "RerankResponse": "trunkline.types.results",
    "TextCompletionResponse": "trunkline.types.results",
    "TranscriptionResponse": "trunkline.types.results",
}
_RESULT_NAMES = {
    "TextCompletionResponse": "TextCompletion",
    "TranscriptionResponse": "Transcription",
}


def completion(model: str, messages: Any = None, **keywords: Any) -> Any:
    """`trunkline.completion` with LiteLLM's keywords."""
    return functions.completion(model, messages or [], **_translated(model, keywords))


async def acompletion(model: str, messages: Any = None, **keywords: Any) -> Any:
    """`trunkline.acompletion` with LiteLLM's keywords."""
    return await functions.acompletion(model, messages or [], **_translated(model, keywords))


def _task(name: str, order: tuple[str, ...]) -> Any:
    """Return Trunkline's function of a task with LiteLLM's order of arguments and keywords."""

    def call(*args: Any, **keywords: Any) -> Any:
        given = {**dict(zip(order, args, strict=False)), **keywords}
        translated = _translated(str(given.get("model")), given)
        return getattr(trunkline, name)(**translated)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"`trunkline.{name}` with LiteLLM's keywords."
    return call


def stream_chunk_builder(chunks: Sequence[types.Chunk], messages: Any = None) -> types.Completion:
    """Fold the chunks of a stream into the completion that they spell out."""
    from trunkline.wire.fold import Fold

    del messages  # LiteLLM counts tokens in them; here the provider's count is used
    fold = Fold()
    for chunk in chunks:
        fold.add(chunk)
    return fold.completion()


def install_as_litellm() -> None:
    """Answer `import litellm` with Trunkline, for this process.

    Raises ConfigurationError if LiteLLM itself has been imported before: its names are already in
    use then. Calling it twice is harmless.
    """
    present = sys.modules.get("litellm")
    if isinstance(present, _LiteLLM):
        return
    if present is not None:
        raise ConfigurationError(
            "litellm has been imported already; call install_as_litellm() before anything imports it."
        )
    module = _LiteLLM("litellm", __doc__)
    sys.modules["litellm"] = module
    sys.modules["litellm.exceptions"] = module.exceptions
    sys.meta_path.insert(0, _Absent())


class _LiteLLM(ModuleType):
    """The module that stands for LiteLLM."""

    def __init__(self, name: str, doc: str | None) -> None:
        super().__init__(name, doc)
        self.__path__ = []
        self.completion = completion
        self.acompletion = acompletion
        for task, order in _TASKS.items():
            setattr(self, task, _task(task, order))
            setattr(self, f"a{task}", _task(f"a{task}", order))
        self.stream_chunk_builder = stream_chunk_builder
        self.ModelResponse = types.Completion
        self.ModelResponseStream = types.Chunk
        self.Message = types.Message
        self.Usage = types.Usage
        self.exceptions = ModuleType("litellm.exceptions", "LiteLLM's error names.")
        for error_name, error in _ERRORS.items():
            setattr(self, error_name, error)
            setattr(self.exceptions, error_name, error)
        for setting, value in _SETTINGS.items():
            setattr(self, setting, value)

    def __getattr__(self, name: str) -> Any:
        if name in _RESULTS:  # loaded where a program names them
            found = importlib.import_module(_RESULTS[name])
            return getattr(found, _RESULT_NAMES.get(name, name))
        raise AttributeError(_absent(name))


class _Absent(importlib.abc.MetaPathFinder):
    """Explains `from litellm import X` where X is not here."""

    def find_spec(
        self, fullname: str, path: Any = None, target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Raise for a submodule, which is how `from` looks for a name that is not there."""
        del path, target
        if fullname.startswith("litellm.") and isinstance(sys.modules.get("litellm"), _LiteLLM):
            raise ImportError(_absent(fullname.removeprefix("litellm.")), name=fullname)
        return None


def _absent(name: str) -> str:
    return (
        f"Trunkline, which stands in for litellm here, has no {name!r}. It has completion, "
        f"{', '.join(_TASKS)}, the same with an a in front, stream_chunk_builder and the error "
        "classes; for the rest see Trunkline's own names, or uninstall the stand-in."
    )


def _translated(model: str, keywords: dict[str, Any]) -> dict[str, Any]:
    """Return Trunkline's keywords for LiteLLM's."""
    given: dict[str, Any] = {}
    for name, value in keywords.items():
        if name in _WITHOUT_EFFECT or value is None:
            continue
        ours = _RENAMED.get(name, name)
        if ours in given:
            raise InvalidInputError(f"{name} and {ours} are the same thing; give one of them.")
        given[ours] = value
    if given.pop("custom_llm_provider", None) not in (None, "huggingface", "openai"):
        raise InvalidInputError(
            f"custom_llm_provider is given for {model!r}; Trunkline reaches Hugging Face's "
            "providers and OpenAI-compatible servers only."
        )
    return given
