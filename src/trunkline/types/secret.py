"""A token or key, with the place it came from; it shows itself only to who asks for its value."""

from __future__ import annotations

from typing import Any, TypeVar, cast

import msgspec

T = TypeVar("T")

_SHORTEST = 8
"""Characters from which a credential is looked for in texts: shorter ones stand there by chance."""


class Secret(msgspec.Struct, frozen=True):
    """A credential. `str()` and `repr()` show its last four characters at most."""

    value: str
    origin: str
    """Where it was found, in words: `the argument token=`, `environment variable HF_TOKEN`."""

    @property
    def masked(self) -> str:
        """The value with all but its last four characters hidden, at a fixed width."""
        return "****" + (self.value[-4:] if len(self.value) >= 12 else "")

    @property
    def is_hugging_face(self) -> bool:
        """Whether it has the form of a Hugging Face user or OAuth token."""
        return self.value.startswith("hf_")

    def masked_in(self, value: T) -> T:
        """Return text, or decoded JSON, in which this credential is masked wherever it stands."""
        if len(self.value) < _SHORTEST:
            return value
        found: Any = value
        if isinstance(value, str):
            found = value.replace(self.value, self.masked)
        elif isinstance(value, dict):
            found = {self.masked_in(k): self.masked_in(v) for k, v in value.items()}
        elif isinstance(value, list):
            found = [self.masked_in(item) for item in value]
        return cast("T", found)

    def __repr__(self) -> str:
        """Hide the value."""
        return f"Secret({self.masked} from {self.origin})"

    __str__ = __repr__
