"""What goes wrong with sockets, said in our errors: which step, what happened, what to try."""

from __future__ import annotations

import socket
import ssl
from typing import Literal

from trunkline.errors import APIConnectionError, Timeout
from trunkline.wire.http1_read import HttpError
from trunkline.wire.message import Url

Step = Literal["connect", "send", "head", "body"]

_TOO_LATE: dict[Step, str] = {
    "connect": "No connection to {host} within the time allowed.",
    "send": "The request could not be sent to {host} within the time allowed.",
    "head": "{host} did not begin to answer within the time allowed.",
    "body": "{host} stopped sending its answer: nothing came within the time allowed.",
}


def trouble(
    error: Exception, url: Url, step: Step, *, received: bool = False
) -> APIConnectionError:
    """Return `error`, raised while talking to `url` in `step`, as one of ours."""
    if isinstance(error, APIConnectionError):
        found = error
    elif isinstance(error, TimeoutError):
        found = Timeout(_TOO_LATE[step].format(host=url.authority), hint=_late_hint(step))
    else:
        message, hint = _describe(error, url, step)
        found = APIConnectionError(message, hint=hint)
        if isinstance(error, ssl.SSLCertVerificationError):
            found.should_retry = False
    found.sent = found.sent or step != "connect"
    found.received = found.received or received
    return found


def closed_early(url: Url, step: Step, *, received: bool) -> APIConnectionError:
    """Return the error for a peer that closed before its answer was complete."""
    what = "before it answered" if step == "head" else "in the middle of its answer"
    found = APIConnectionError(f"{url.authority} closed the connection {what}.")
    found.sent = True
    found.received = received
    return found


def hung_up(url: Url, *, received: bool) -> APIConnectionError:
    """Return the error for a call that was closed from this side; it is not tried again."""
    found = APIConnectionError(
        f"The connection to {url.authority} was closed by its own client.", should_retry=False
    )
    found.sent = True
    found.received = received
    return found


def _late_hint(step: Step) -> str:
    if step == "connect":
        return "Check the address and the network; timeout= sets the limits."
    return "Raise timeout= if the model may need longer; stream=True shows sooner that it lives."


def _describe(error: Exception, url: Url, step: Step) -> tuple[str, str | None]:
    where = url.authority
    if isinstance(error, HttpError):
        return f"{where} sent something that is not a proper answer: {error}.", None
    if isinstance(error, (socket.gaierror, UnicodeError)):
        why = getattr(error, "strerror", None) or error
        return (
            f"The name {url.host!r} could not be resolved: {why}.",
            "Check the spelling, the network and any proxy (HTTPS_PROXY).",
        )
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"The certificate of {where} was not accepted: {error.verify_message}.",
            (
                "If the server uses a private authority, add it to the system's trust store or name "
                "its file in SSL_CERT_FILE or as the client's ca_file=."
            ),
        )
    if isinstance(error, ssl.SSLError):
        return f"TLS with {where} failed: {error.reason or error}.", None
    if isinstance(error, ConnectionRefusedError):
        return f"{where} refused the connection.", "Is the server running there?"
    if isinstance(error, (ConnectionResetError, BrokenPipeError)):
        when = {"connect": "while connecting", "send": "while sending", "head": "before answering"}
        return (
            f"{where} broke the connection {when.get(step, 'in the middle of its answer')}.",
            None,
        )
    return f"The connection to {where} failed: {error or type(error).__name__}.", None
