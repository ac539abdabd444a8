"""One request as the sandbox's routes see it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec

from trunkline.sandbox.job_store import Jobs
from trunkline.sandbox.reply import Reply
from trunkline.wire.http1_read import RequestHead

Embed: TypeAlias = Callable[[list[str]], list[list[float]]]
"""Turns texts into vectors."""


class Visit(msgspec.Struct, frozen=True):
    """A request, and what the sandbox has been told to be."""

    head: RequestHead
    body: bytes
    seed: int
    orgs: tuple[str, ...]
    jobs: Jobs
    inside: bool = False
    """In process: no token is needed and every model name answers."""
    gap: float = 0.0
    """Seconds that a token takes."""
    delay: float = 0.0
    """Seconds before the first token."""
    asked: dict[str, Any] = {}
    """The body decoded, a form's fields included; empty where it is no object."""
    fault: str = ""
    """Name of the fault that strikes this request: some strike later, in its job or its file."""
    embed: Embed | None = None
    """What makes vectors, where it is not the sandbox itself."""

    @property
    def request_id(self) -> str:
        """An id in Hugging Face's form, the same for the same request and seed."""
        mark = self.mark(self.head.method, self.head.target, self.body)
        parts = (mark[32:40], mark[40:44], f"4{mark[45:48]}", f"a{mark[49:52]}", mark[52:64])
        return f"Root=1-{mark[:8]}-{mark[8:32]};{'-'.join(parts)}"

    @property
    def base(self) -> str:
        """Where the client finds this sandbox."""
        host = self.head.headers.get("host", "127.0.0.1")
        if self.inside and host == "sandbox":
            return "sandbox://sandbox"
        # in process it may stand in for any address, and those without a port are https
        return f"{'http' if ':' in host or not self.inside else 'https'}://{host}"

    def mark(self, *parts: object) -> str:
        """Return 64 hexadecimal digits that stand for the seed and `parts`."""
        told = [p if isinstance(p, bytes) else str(p).encode() for p in (self.seed, *parts)]
        return hashlib.blake2b(b"\0".join(told), digest_size=32).hexdigest()


Page: TypeAlias = Callable[[Visit, dict[str, str]], Reply]
"""What answers a route; the dict holds the named parts of its path."""
