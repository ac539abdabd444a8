"""Keys that are no Hugging Face tokens: whose they are, and that nobody else on a route is given them. Pure."""

from __future__ import annotations

from trunkline.errors import InvalidInputError
from trunkline.types import Secret
from trunkline.types.route import SERVER

OTHERS_KEY = "the key is no Hugging Face token, and the model string does not say that it is for it"
SERVERS_KEY = "the key is for the server alone, and no Hugging Face token was found"


def is_own(secret: Secret | None, direct: bool | None, *, explicit: bool) -> bool:  # noqa: FBT001 - as it is given
    """Tell whether a credential is a server's or a provider's own, as calls without a route take it."""
    return explicit and secret is not None and not secret.is_hugging_face and direct is not False


def no_server() -> InvalidInputError:
    """Return the error for a route that names a server which the call does not."""
    return InvalidInputError(
        f"The route has the place {SERVER!r}, and the call has no api_base=.",
        hint="Give the server's address as api_base=, or leave the place out.",
    )
