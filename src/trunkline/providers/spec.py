"""What there is to say of a provider, and what a call needs to know of where it goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec

from trunkline.types import Secret
from trunkline.wire.message import Url

Tune = Callable[[dict[str, Any]], dict[str, Any]]
"""Turns a chat body of OpenAI's form into the form that one provider takes."""

Via = Literal["router", "direct", "served", "sandbox"]


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
    """Word before the key in the Authorization header."""
    headers: tuple[tuple[str, str], ...] = ()
    tune: Tune | None = None
    maps_models: bool = True
    """Whether its models have names of their own, which the Hub's mapping tells."""
    dropped: str | None = None
    """Since when (ISO date) Hugging Face no longer routes to it; a key of its own still works."""


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
    headers: tuple[tuple[str, str], ...] = ()
    tune: Tune | None = None
    look_up: str | None = None
    """A model's name on the Hub whose provider-side name has to be looked up first."""
