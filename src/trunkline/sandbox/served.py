"""What the sandbox says of a model: who serves it, under which name, for which task."""

from __future__ import annotations

import msgspec


class Served(msgspec.Struct, frozen=True):
    """One provider's offer of a model."""

    provider: str
    own_name: str
    """What the provider calls the model."""
    prices: tuple[float, float] | None = None
    """US dollars for a million tokens in and out; None where the provider tells none."""
    context: int | None = None
    tools: bool | None = None
    structured: bool | None = None
    latency: float | None = None
    """Milliseconds to the first token."""
    throughput: float | None = None
    """Tokens a second."""
    status: str = "live"
    task: str | None = None
    """What this provider serves the model for, where it is not the model's own task."""
    lora: str | None = None
    """The file with the weights, where the model is a LoRA that the provider puts on another;
    empty where the Hub names none."""


class Model(msgspec.Struct, frozen=True):
    """A model and who serves it, in the user's order of preference."""

    name: str
    served: tuple[Served, ...]
    sees: bool = False
    """Whether it takes images."""
    task: str = "conversational"
    pipeline_tag: str = "text-generation"
    gated: bool = False
    """Whether its terms have to be accepted first, which nobody here has done."""

    @property
    def org(self) -> str:
        """The organisation in the model's name."""
        return self.name.partition("/")[0]
