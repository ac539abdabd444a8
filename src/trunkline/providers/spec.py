"""What there is to say of a provider, and what a call needs to know of where it goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec

from trunkline.dialects.shape import Lora, Shape
from trunkline.errors import UnsupportedParamsError
from trunkline.types import Secret
from trunkline.wire.message import Url

Tune = Callable[[dict[str, Any]], dict[str, Any]]
"""Turns a chat body of OpenAI's form into the form that one provider takes."""

Via = Literal["router", "direct", "served", "sandbox"]


class Route(msgspec.Struct, frozen=True):
    """How one provider serves one task: where, in which shape, and what is particular about it."""

    path: str
    """Below the provider's address; `{model}` stands for its name of the model."""
    shape: Shape
    version_path: str | None = None
    """Path for a model name with a `:version`, where that differs (Replicate)."""
    base_url: str | None = None
    """Address for direct calls, where it is not the provider's usual one (fal's queue)."""
    headers: tuple[tuple[str, str], ...] = ()
    renames: tuple[tuple[str, str], ...] = ()
    """Hugging Face's name of a parameter, and the provider's."""
    refuses: frozenset[str] = frozenset()
    """Parameters, under Hugging Face's names, that the provider does not take."""
    max_batch: int | None = None
    """Inputs in one request, where there is a limit."""


class Provider(msgspec.Struct, frozen=True):
    """One provider as data."""

    name: str
    """Its id at Hugging Face: `fireworks-ai`."""
    title: str
    base_url: str
    """Its own address, for calls with its own key."""
    chat_path: str | None = None
    """Path of chat completions below `base_url`, and below its route on the router; None where
    it serves none. `{model}` stands for the model."""
    scheme: str = "Bearer"
    """Word before the key in the header; may be empty."""
    auth_header: str = "authorization"
    headers: tuple[tuple[str, str], ...] = ()
    tune: Tune | None = None
    maps_models: bool = True
    """Whether its models have names of their own, which the Hub's mapping tells."""
    tasks: dict[str, Route] = {}
    """The tasks other than chat, by the Hub's names."""
    chat_refuses: frozenset[str] = frozenset()
    """Chat parameters that it does not take."""
    region: str | None = None
    """Where it says that its servers are, `eu` for the European Union; None is "not said"."""
    dropped: str | None = None
    """Since when (ISO date) Hugging Face no longer routes to it; a key of its own still works."""


NOWHERE = Url("https", "", 443, "/")


class Target(msgspec.Struct, frozen=True):
    """Where one attempt goes."""

    url: Url
    model: str
    """Model name for the request's body."""
    via: Via
    provider: str | None = None
    """The provider asked for; None where the router or the server decides."""
    secret: Secret | None = None
    scheme: str = "Bearer"
    auth_header: str = "authorization"
    headers: tuple[tuple[str, str], ...] = ()
    tune: Tune | None = None
    route: Route | None = None
    """How a task other than chat is served there."""
    base: Url = NOWHERE
    """Address below which the provider's paths lie."""
    lora: Lora | None = None
    max_batch: int | None = None
    """Inputs in one request, where there is a limit."""
    look_up: str | None = None
    """A model's name on the Hub whose provider-side name has to be looked up first."""


def accepted(
    parameters: dict[str, Any],
    refused: frozenset[str],
    provider: str | None,
    model: str,
    *,
    drop: bool,
) -> dict[str, Any]:
    """Return the parameters that a provider takes; raises UnsupportedParamsError unless `drop`."""
    wrong = sorted(refused & parameters.keys())
    if not wrong:
        return parameters
    if not drop:
        raise UnsupportedParamsError(
            f"{provider or 'The server'} does not take {', '.join(wrong)}.",
            provider=provider,
            model=model,
            hint="Leave it out, or pass drop_params=True to have it left out.",
        )
    return {name: value for name, value in parameters.items() if name not in refused}
