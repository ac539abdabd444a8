"""Where the APIs beside chat go: `/v1/responses`, `/v1/messages`. Pure: nothing is sent here.

They lie where chat lies, under another last name, so the way there is chat's.
"""

from __future__ import annotations

import msgspec

from trunkline.errors import ModelNotSupportedError
from trunkline.model_id import ModelId
from trunkline.providers.spec import Target
from trunkline.providers.targets import CHAT_PATH, Places, chat_target
from trunkline.wire.message import Url, parse_url

_ENDINGS = ("/responses", "/messages")


def answer_target(
    route: str,
    model: ModelId,
    places: Places,
    own: frozenset[str],
    headers: tuple[tuple[str, str], ...] = (),
) -> Target:
    """Return where a call of `route` goes; `own` are the providers that serve it themselves.

    An `api_base` is completed as for a chat, and may already end in `route`. Raises as chat_target,
    and ModelNotSupportedError for a provider of which no such route is known.
    """
    if places.api_base is not None:
        places = msgspec.structs.replace(places, api_base=_chat_base(places.api_base))
    target = chat_target(model, places)
    if target.via == "direct" and target.provider not in own:
        raise ModelNotSupportedError(
            f"{target.provider} has no {route} API of its own that is known here.",
            provider=target.provider,
            model=str(model),
            hint="Use a Hugging Face token, give an address as api_base=, or use completion().",
        )
    url = _beside_chat(target.url, route)
    return msgspec.structs.replace(target, url=url, tune=None, headers=(*target.headers, *headers))


def _chat_base(api_base: str) -> str:
    """Return an address without the route that it may name."""
    url = parse_url(api_base)
    path, mark, query = url.target.partition("?")
    path = path.rstrip("/")
    for ending in _ENDINGS:
        path = path.removesuffix(ending)
    return str(msgspec.structs.replace(url, target=(path or "/") + mark + query))


def _beside_chat(url: Url, route: str) -> Url:
    path, mark, query = url.target.partition("?")
    return msgspec.structs.replace(
        url, target=f"{path.removesuffix(CHAT_PATH)}/{route}{mark}{query}"
    )
