"""How many files the process may have open: as many as its connections need, where the system allows it."""

from __future__ import annotations

import resource

_FOR_A_CLIENT = 2
"""Its connection and the one to an upstream that serves it."""
_BESIDE = 256
"""For store, journal, log and listening."""


def allow_descriptors(connections: int) -> str | None:
    """Raise the soft limit to what so many clients need; returns what is to be said where it is too low."""
    needed = connections * _FOR_A_CLIENT + _BESIDE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    if soft == unlimited or soft >= needed:
        return None
    allowed = needed if hard == unlimited else min(needed, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed == needed:
        return None
    return (
        f"The process may have {allowed} files open; {connections} clients need {needed}. Beyond that new "
        "connections are closed unanswered. Raise the limit (`ulimit -n`, or LimitNOFILE of the "
        "service), or lower listen.connections."
    )
