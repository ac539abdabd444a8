"""Ids of videos: what is needed to ask after a job, signed, so that any process can and nobody else's key.

Pure. An id is no secret and hides nothing; what it cannot be is made up or changed.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode

import msgspec

from trunkline.errors import InvalidInputError
from trunkline.types.job import Job, parse_job

_PREFIX = "video_"
_LONGEST = 4096
_MAC = 16
"""Bytes of the signature."""
_PURPOSE = b"trunkline video id 1"


class Ticket(msgspec.Struct, frozen=True):
    """What an id says."""

    key: str
    """The key that may ask."""
    upstream: str
    """The configured upstream that has the job."""
    job: Job
    model: str
    """As the client named it."""
    created: int
    size: str | None = None
    seconds: str | None = None


class _Written(msgspec.Struct, frozen=True, array_like=True):
    """A ticket as it stands in an id: without names."""

    key: str
    upstream: str
    job: tuple[str, str, str, str, str]
    model: str
    created: int
    size: str | None
    seconds: str | None


def write_id(seal: bytes, ticket: Ticket) -> str:
    """Return the id for a ticket."""
    job = ticket.job
    plain = msgspec.msgpack.encode(
        _Written(
            ticket.key,
            ticket.upstream,
            (job.provider, job.task, job.model, job.id, job.path),
            ticket.model,
            ticket.created,
            ticket.size,
            ticket.seconds,
        )
    )
    told = urlsafe_b64encode(plain + _signature(seal, plain)).decode().rstrip("=")
    return _PREFIX + told


def read_id(seal: bytes, text: str) -> Ticket | None:
    """Return what an id says; None for one that was not given out by who has this seal."""
    if not text.startswith(_PREFIX) or len(text) > _LONGEST:
        return None
    told = text.removeprefix(_PREFIX)
    try:
        data = urlsafe_b64decode(told + "=" * (-len(told) % 4))
    except (binascii.Error, ValueError):
        return None
    plain, signature = data[:-_MAC], data[-_MAC:]
    canonical = urlsafe_b64encode(data).decode().rstrip("=") == told
    if not canonical or not hmac.compare_digest(signature, _signature(seal, plain)):
        return None
    try:
        found = msgspec.msgpack.decode(plain, type=_Written)
        job = parse_job(Job(*found.job))
    except (msgspec.DecodeError, InvalidInputError):
        return None
    return Ticket(
        found.key, found.upstream, job, found.model, found.created, found.size, found.seconds
    )


def _signature(seal: bytes, plain: bytes) -> bytes:
    return hmac.new(seal, _PURPOSE + plain, hashlib.sha256).digest()[:_MAC]
