"""Speech that is to become English text: the same call as a transcription, at another place."""

from __future__ import annotations

from typing import cast

import msgspec

from trunkline.errors import ModelNotSupportedError
from trunkline.providers.spec import Route, Target
from trunkline.types.tasks import TaskCall
from trunkline.wire.message import Url

_HEARD, _ENGLISH = "audio/transcriptions", "audio/translations"
_BY_PARAMETER = {"fal-ai": {"task": "translate"}}
"""Providers whose transcription has a parameter for it."""


def in_english(call: TaskCall, target: Target) -> tuple[TaskCall, Target]:
    """Return call and target of a transcription, or of a translation where `translate` asks for it.

    Raises ModelNotSupportedError where the provider has none.
    """
    if "translate" not in call.parameters:
        return call, target
    parameters = {name: value for name, value in call.parameters.items() if name != "translate"}
    route = cast("Route", target.route)
    told = _BY_PARAMETER.get(target.provider or "")
    if not call.parameters["translate"]:
        told = {}
    elif told is None and target.via in ("direct", "served") and route.path.endswith(_HEARD):
        told = {}
        target = msgspec.structs.replace(target, url=_moved(target))
    if told is None:
        raise ModelNotSupportedError(
            f"{target.provider or 'The server'} does not translate speech.",
            provider=target.provider,
            model=str(call.model),
            hint="Servers with OpenAI's /audio/translations do, and fal-ai.",
        )
    return msgspec.structs.replace(call, parameters={**parameters, **told}), target


def _moved(target: Target) -> Url:
    path, mark, query = target.url.target.partition("?")
    moved = path.removesuffix(_HEARD) + _ENGLISH
    return msgspec.structs.replace(target.url, target=moved + mark + query)
