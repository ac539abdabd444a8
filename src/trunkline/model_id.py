"""Model strings, both ways: `huggingface/<provider>/<org>/<name>:<suffix>` <-> ModelId.

Pure text; it does not know which providers exist.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from trunkline.errors import InvalidInputError

Scheme = Literal["huggingface", "served", "sandbox"]
"""Where a model lives: behind Hugging Face, on a server given by `api_base`, in the emulator."""

_HUB_PREFIXES = frozenset({"huggingface", "hf"})
_SERVED_PREFIXES = frozenset({"huggingface", "hf", "openai"})
POLICIES = frozenset({"fastest", "cheapest", "preferred"})
"""Suffixes by which the router chooses a provider itself."""


class ModelId(msgspec.Struct, frozen=True):
    """A parsed model string. `str(model_id)` is its full form."""

    scheme: Scheme
    name: str
    """The model without provider or suffix: `org/name`, or any name on a server of one's own."""
    provider: str | None = None
    """The provider that the path or a suffix names."""
    policy: str | None = None
    """`fastest`, `cheapest` or `preferred`; None leaves the choice to the router's default."""

    @property
    def suffix(self) -> str | None:
        """What follows the colon in the router's model name."""
        return self.provider or self.policy

    def __str__(self) -> str:
        """Return the full form, which parses to an equal ModelId."""
        if self.scheme == "served":
            return f"openai/{self.name}"
        if self.scheme == "sandbox":
            return f"sandbox/{self.name}"
        provider, suffix = self.provider, self.policy
        parts = self.name.count("/") + 1
        if parts == 1 and provider:
            provider, suffix = None, provider
        elif parts > 2 and not provider:
            provider = "auto"  # else the name's own first part would be read as one
        path = f"{provider}/{self.name}" if provider else self.name
        return f"huggingface/{path}" + (f":{suffix}" if suffix else "")


def parse(text: str) -> ModelId:
    """Read a model string that goes to Hugging Face or to the sandbox.

    Raises InvalidInputError, with the forms that work, where it names no model.
    """
    _check_characters(text)
    first, slash, rest = text.partition("/")
    if slash and first == "sandbox":
        return ModelId("sandbox", _filled(text, rest))
    path = rest if slash and first in _HUB_PREFIXES else text
    bare, colon, suffix = _filled(text, path).partition(":")
    if colon and not suffix:
        raise _wrong(text, "nothing follows the colon")
    if ":" in suffix or "/" in suffix:
        raise _wrong(text, "what follows the colon is neither a provider nor a policy")
    parts = bare.split("/")
    if not all(parts):
        raise _wrong(text, "a part of it is empty")
    provider = parts.pop(0) if len(parts) > 2 else None
    if provider == "auto":
        provider = None
    return _with_suffix(text, ModelId("huggingface", "/".join(parts), provider), suffix)


def parse_served(text: str) -> ModelId:
    """Read a model string that goes to a server given by `api_base`.

    Only a `huggingface/`, `hf/` or `openai/` in front is taken off: what such a server calls its
    models (a path, a name with a colon) is its own affair. Raises InvalidInputError.
    """
    _check_characters(text)
    first, slash, rest = text.partition("/")
    name = rest if slash and first in _SERVED_PREFIXES else text
    if not name:
        raise _wrong(text, "it names no model")
    return ModelId("served", name)


def _with_suffix(text: str, model: ModelId, suffix: str) -> ModelId:
    if not suffix or suffix == "auto":  # other clients' word for "the router decides"
        return model
    if model.provider is not None and suffix != model.provider:
        raise _wrong(text, f"it names provider {model.provider!r} and adds the suffix :{suffix}")
    if suffix in POLICIES:
        return msgspec.structs.replace(model, policy=suffix)
    return msgspec.structs.replace(model, provider=suffix)


def _check_characters(text: object) -> None:
    if not isinstance(text, str):
        raise _wrong(text, f"it is a {type(text).__name__}, not a string")
    if any(c.isspace() or not c.isprintable() for c in text):
        raise _wrong(text, "it contains white space or control characters")


def _filled(text: str, rest: str) -> str:
    if not rest or rest.startswith(":") or rest.endswith("/"):
        raise _wrong(text, "it names no model")
    return rest


def _wrong(text: object, why: str) -> InvalidInputError:
    return InvalidInputError(
        f"{text!r} is not a model string: {why}.",
        hint=(
            "Write huggingface/<provider>/<org>/<model> to pin a provider, <org>/<model> to let "
            "the router choose, or any name together with api_base=."
        ),
    )
