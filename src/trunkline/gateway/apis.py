"""Which APIs an upstream answers itself, so that requests in them go through as they came. Pure.

Every upstream chats; for one that does not speak a client's API, the request is made a chat.
"""

from __future__ import annotations

from trunkline.dialects.anthropic import VERSION
from trunkline.gateway.config import Upstream

_RESPONDING = frozenset({"groq", "openai"})
"""Providers whose own address has OpenAI's Responses API."""
_OTHERS = frozenset({"messages", "responses"})
"""Endpoints that can be served by a chat."""


def speaks(upstream: Upstream, endpoint: str) -> bool:
    """Tell whether an upstream serves an endpoint itself."""
    if endpoint not in _OTHERS:
        return True
    if upstream.speaks is not None:
        return endpoint in upstream.speaks
    if endpoint == "messages":  # the router's is not documented: for operators to choose
        return False
    return upstream.kind == "huggingface" or upstream.provider in _RESPONDING


_VERSIONED = b"".join(b"\r\n%b: %b" % (n.encode(), v.encode()) for n, v in VERSION)
_LENGTH = b"\r\ncontent-length: "


def head_for(endpoint: str, head: bytes) -> bytes:
    """Return a request's head, written up to its length, with what an endpoint needs beside."""
    return head.removesuffix(_LENGTH) + _VERSIONED + _LENGTH if endpoint == "messages" else head
