"""What reached the sandbox, for a test to look at afterwards."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from typing import Any

import msgspec

from trunkline.wire import strict_json
from trunkline.wire.http1_read import RequestHead


class Seen(msgspec.Struct):
    """One request, and how its connection fared. Times are of `time.monotonic`."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    at: float
    """When the request was complete."""
    status: int | None = None
    """Status of the answer, once it began."""
    answered: float | None = None
    """When the answer was complete, cuts and resets of a fault included."""
    hung_up: float | None = None
    """When the client closed before that."""
    connection: int = 0
    """Which connection it came on; the same number twice is keep-alive."""

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return strict_json.decode(self.body)


class Log:
    """The last requests, oldest first."""

    def __init__(self, keep: int = 1000) -> None:
        """Keep the last `keep` of them."""
        self._seen: deque[Seen] = deque(maxlen=keep)

    def add(self, head: RequestHead, body: bytes, connection: int = 0) -> Seen:
        """Note a request that is complete."""
        seen = Seen(
            head.method, head.path, head.query, head.headers, body, time.monotonic(),
            connection=connection,
        )  # fmt: skip
        self._seen.append(seen)
        return seen

    def clear(self) -> None:
        """Forget them."""
        self._seen.clear()

    def __len__(self) -> int:
        """Count them."""
        return len(self._seen)

    def __iter__(self) -> Iterator[Seen]:
        """Iterate over what there is now."""
        return iter(list(self._seen))

    def __getitem__(self, index: int) -> Seen:
        """Return one of them; -1 is the last."""
        return self._seen[index]
