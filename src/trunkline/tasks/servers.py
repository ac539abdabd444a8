"""Questions about a server of one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from trunkline.routing.ask import Ask

if TYPE_CHECKING:
    from trunkline.calls import Calls
    from trunkline.providers.engines import Engine


def endpoint_info(
    calls: Calls,
    api_base: str,
    *,
    token: str | None = None,
    timeout: float | None = None,
) -> Ask[Engine]:
    """Tell what runs at an address: TEI, TGI or another, its model, version and limits.

    From `GET /info`, asked at most once an hour; a server without it counts as OpenAI-compatible.
    Raises APIConnectionError where it cannot be asked.
    """
    options = {"api_base": api_base, "token": token, "timeout": timeout}
    ask = calls.ask("feature-extraction", "any", "", {}, options)
    return msgspec.structs.replace(ask, what="info")
