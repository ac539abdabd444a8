"""A gateway for pictures and sounds: servers of OpenAI's form, direct providers and Hugging Face's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateways import in_front_of
from running import Gateway

from trunkline.sandbox import SandboxServer, media_files

MORE = """
[upstreams.server]
base_url = "{url}/server/v1"
prices."sandbox/by-tokens" = {{ input = 1, output = 2, request = 0.5 }}
prices."*" = {{ request = 0.01 }}
[upstreams.other]
base_url = "{url}/server/v1"
[upstreams.own]
provider = "openai"
base_url = "{url}/server"
key_env = "EMULATOR_KEY"
[upstreams.straight]
provider = "together"
base_url = "{url}/together"
key_env = "EMULATOR_KEY"
[upstreams.paints]
provider = "replicate"
base_url = "{url}/replicate"
key_env = "EMULATOR_KEY"
[routes.pictures]
targets = [
  {{ upstream = "down", model = "sandbox/a" }},
  {{ upstream = "server", model = "sandbox/b" }},
]
"""
PNG = media_files.png("ab" * 8, 8, 8)
WAV = media_files.wav("ab" * 8, 2.0)


@contextmanager
def media_gateway(server: SandboxServer, folder: Path, more: str = "") -> Iterator[Gateway]:
    """Run one."""
    config = (MORE + more).replace("{{", "{").replace("}}", "}")
    with in_front_of(server, folder, config) as gateway:
        yield gateway
