"""What a client is made with, checked once, for both clients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict, Unpack

from trunkline.calls import Calls, Defaults, given_secret
from trunkline.log_settings import LogWish, log_wanted
from trunkline.parameters import check_parameters, headers_from, timeouts_from
from trunkline.routed_calls import policy_of
from trunkline.settings import Settings, TokenSource, read_settings
from trunkline.types import Timeouts
from trunkline.types.route import RouteLike


class ClientOptions(TypedDict):
    """The keywords of both clients that become defaults of their calls."""

    api_key: str | None
    api_base: str | None
    direct: bool | None
    bill_to: str | None
    session_id: str | None
    extra_headers: Mapping[str, str] | None
    timeout: float | Timeouts | None
    deadline: float | None
    max_retries: int
    route: RouteLike | None
    log: LogWish
    log_content: bool | None


_CHECKED = (
    "api_base",
    "direct",
    "bill_to",
    "session_id",
    "extra_headers",
    "deadline",
    "max_retries",
)
"""Those that are keywords of a call, too."""


def calls_with(
    token: str | None, settings: Settings | None, **given: Unpack[ClientOptions]
) -> Calls:
    """Return the maker of a client's calls; raises InvalidInputError and ConfigurationError."""
    check_parameters({name: value for name, value in given.items() if name in _CHECKED})
    settings = settings or read_settings()
    defaults = Defaults(
        secret=given_secret(token, given["api_key"]),
        api_base=given["api_base"],
        direct=given["direct"],
        bill_to=given["bill_to"],
        session_id=given["session_id"],
        headers=headers_from(given["extra_headers"]),
        timeouts=timeouts_from(given["timeout"], Timeouts()),
        deadline=given["deadline"],
        max_retries=given["max_retries"],
        route=policy_of(given["route"]),
        log=log_wanted(settings.log, given["log"], content=given["log_content"]),
    )
    return Calls(settings, TokenSource(), defaults)
