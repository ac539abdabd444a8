"""What the tests of a gateway in front of real servers share: its configuration, and what is asked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from peers import Peer
from running import Gateway, running

HELLO: Any = [{"role": "user", "content": "hello"}]
PRINTABLE = {str(token): -100 for token in (*range(32), *range(127, 260))}
"""Keeps llama.cpp's random model to ASCII and from ending."""
CONFIG = """
default_upstream = "real"
[upstreams.real]
base_url = "{base}"
models = [{model}]
prices."*" = {{ input = 1, output = 2 }}
[routes.tiny]
targets = [{{ upstream = "real", model = {model} }}]
"""
"""Each server's model is called `tiny`."""


def kept_to_ascii(gateway: Gateway) -> dict[str, Any]:
    """Return what is asked beside the rest, where the gateway stands before llama.cpp's server."""
    return {"logit_bias": PRINTABLE} if "llama" in gateway.folder.name else {}


def in_front_of(
    peer: Peer, factory: pytest.TempPathFactory, config: str = CONFIG
) -> Iterator[Gateway]:
    """Run a gateway in front of a server: the body of a fixture."""
    text = config.format(base=peer.base_url, model=json.dumps(peer.model))
    with running(factory.mktemp(peer.name), text) as gateway:
        yield gateway
