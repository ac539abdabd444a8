"""An emulator of Hugging Face's router and Hub, faults included: on loopback, or in process.

`Sandbox` answers; `serve_in_thread` and `SandboxServer` put it on a port; `InProcessTransport` and
`AsyncInProcessTransport` carry calls to it without one.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trunkline.sandbox.app import Sandbox
    from trunkline.sandbox.connection import Limits
    from trunkline.sandbox.fault import Case, Fault
    from trunkline.sandbox.faults import FAULTS
    from trunkline.sandbox.inprocess import AsyncInProcessTransport, InProcessTransport
    from trunkline.sandbox.reply import Cut, Pause, Reply, Reset
    from trunkline.sandbox.seen import Log, Seen
    from trunkline.sandbox.server import SandboxServer, serve_in_thread

_HOMES = {
    "AsyncInProcessTransport": "inprocess",
    "Case": "fault",
    "Cut": "reply",
    "FAULTS": "faults",
    "Fault": "fault",
    "InProcessTransport": "inprocess",
    "Limits": "connection",
    "Log": "seen",
    "Pause": "reply",
    "Reply": "reply",
    "Reset": "reply",
    "Sandbox": "app",
    "SandboxServer": "server",
    "Seen": "seen",
    "serve_in_thread": "server",
}

__all__ = [
    "FAULTS",
    "AsyncInProcessTransport",
    "Case",
    "Cut",
    "Fault",
    "InProcessTransport",
    "Limits",
    "Log",
    "Pause",
    "Reply",
    "Reset",
    "Sandbox",
    "SandboxServer",
    "Seen",
    "serve_in_thread",
]


def __getattr__(name: str) -> object:
    """Load a name when it is first used: a call to Hugging Face needs none of this."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = found
    return found
