"""`--route`: a policy as it is written on a command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import msgspec

from trunkline.errors import InvalidInputError

if TYPE_CHECKING:
    from trunkline.routing.policy import Policy

    Param = click.ParamType["Policy"]
else:
    Param = click.ParamType  # older versions of click have it without a type of its own


class RouteType(Param):
    """A policy's name, providers with commas between them, or a policy's fields as JSON."""

    name = "ROUTE"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Policy:
        """Read it; what cannot be meant is said as click says it."""
        from trunkline.routing.policy import Policy, read_policy  # few commands need it

        if isinstance(value, Policy):
            return value
        try:
            return read_policy(_given(str(value)))
        except InvalidInputError as wrong:
            self.fail(f"{wrong.message} {wrong.hint or ''}".strip(), param, ctx)


def _given(text: str) -> Any:
    if text.lstrip().startswith("{"):
        try:
            return msgspec.json.decode(text)
        except msgspec.DecodeError as error:
            raise InvalidInputError(f"The route is no JSON: {error}.") from error
    if "," in text or "/" in text:
        return [place.strip() for place in text.split(",")]
    from trunkline.providers.table import PROVIDERS  # as above

    return [text] if text in PROVIDERS else text


ROUTE = RouteType()
HELP = (
    "Who may serve it, in which order: fastest, cheapest, balanced, sticky, providers as a,b,c, or "
    "a policy's fields as JSON."
)
