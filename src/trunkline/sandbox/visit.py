"""One request as the sandbox's routes see it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TypeAlias

import msgspec

from trunkline.sandbox.reply import Reply
from trunkline.wire.http1_read import RequestHead


class Visit(msgspec.Struct, frozen=True):
    """A request, and what the sandbox has been told to be."""

    head: RequestHead
    body: bytes
    seed: int
    orgs: tuple[str, ...]
    inside: bool = False
    """In process: no token is needed and every model name answers."""
    gap: float = 0.0
    """Seconds that a token takes."""
    delay: float = 0.0
    """Seconds before the first token."""

    @property
    def request_id(self) -> str:
        """An id in Hugging Face's form, the same for the same request and seed."""
        told = f"{self.seed}\0{self.head.method}\0{self.head.target}\0".encode() + self.body
        mark = hashlib.blake2b(told, digest_size=32).hexdigest()
        parts = (mark[32:40], mark[40:44], f"4{mark[45:48]}", f"a{mark[49:52]}", mark[52:64])
        return f"Root=1-{mark[:8]}-{mark[8:32]};{'-'.join(parts)}"


Page: TypeAlias = Callable[[Visit, dict[str, str]], Reply]
"""What answers a route; the dict holds the named parts of its path."""
