"""What is done about streams that break: kept back, begun anew elsewhere, or gone on with. No I/O.

It stands between a stream's bytes as they come and the client, on routes whose `on_cut` asks for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trunkline.gateway.quote import UNKNOWN, Tariff
from trunkline.gateway.tokens import Tokens
from trunkline.wire import strict_json

if TYPE_CHECKING:
    from trunkline.errors import APIError
    from trunkline.gateway.refusals import Fault
    from trunkline.routing.policy import Policy
    from trunkline.routing.restart import Delivered, RestartReader
    from trunkline.types import Chunk

MOST_RESUMED = 3
"""Times that one stream is gone on with."""


class Cuts:
    """One call's stream, over all that it is made of."""

    def __init__(self, policy: Policy) -> None:
        """Nothing has come yet."""
        self.policy = policy
        self.fault: Fault | None = None
        """What the client would have been told of the first break."""
        self.outcome = ""
        self.tokens: Tokens = Tokens()
        """Of what broke first."""
        self.tariff: Tariff = UNKNOWN
        """What they cost."""
        self.at = 0
        """Which try that was."""
        self.failure: APIError | None = None
        """Why a second answer cannot be delivered on."""
        self.prefix: str | None = None
        """What the present target is to go on from."""
        self.resumed = 0
        self._said: list[bytes] = []
        self._held: list[bytes] | None = None
        self._there: Delivered | None = None
        self._reader: RestartReader | None = None

    def begin(self, *, first: bool) -> None:
        """Take a new stream; `first` says that nothing was delivered yet."""
        if first and self.policy.on_cut == "hold":
            self._held = []

    @property
    def holds(self) -> bool:
        """Whether what comes is kept back."""
        return self._held is not None

    @property
    def spent(self) -> bool:
        """Whether the stream broke too often to be gone on with once more."""
        return self.resumed > MOST_RESUMED

    @property
    def restarted(self) -> bool:
        """Whether the present stream is a whole answer anew."""
        return self._reader is not None

    def out(self, data: bytes, events: int) -> bytes:
        """Return what may go to the client now that `data` has come, with `events` in all."""
        if self._reader is not None:
            return self._beyond(self._reader.feed(data))
        if self._held is not None:
            self._held.append(data)
            most = self.policy.hold_tokens
            return b"" if most is None or events < most else self.release()
        if self.policy.on_cut != "hold":
            self._said.append(data)
        return data

    def release(self) -> bytes:
        """Return what was kept back; nothing is from now on."""
        held, self._held = self._held, None
        return b"".join(held or ())

    def last(self, rest: bytes) -> bytes:
        """Return the end of a stream that ended well."""
        if self._reader is not None:
            chunks = self._reader.feed(rest) if rest else []
            return self._beyond([*chunks, *self._reader.finish()])
        return self.release() + rest

    def broke(self, error: APIError) -> Delivered:
        """Return what the client has of a stream that broke off."""
        from trunkline.dialects.openai_chat import ChunkReader
        from trunkline.routing.restart import delivered_of

        if self._reader is not None:
            self._there = self._reader.delivered
        else:
            reader = ChunkReader(keep_usage_frames=True)
            reader.feed(b"".join(self._said))
            reader.finish(error)
            self._there = delivered_of(reader.fold.completion())
        return self._there

    def restart(self, cause: APIError) -> None:
        """Deliver the next stream on only if it begins with what was delivered."""
        from trunkline.dialects.openai_chat import ChunkReader
        from trunkline.routing.restart import Delivered, RestartReader

        self.prefix = None
        there = self._there or Delivered()
        self._reader = RestartReader(there, cause, ChunkReader(keep_usage_frames=True))

    def go_on(self) -> None:
        """Deliver the next stream on as the rest of this one."""
        self.prefix = self._there.content if self._there is not None else None

    def body(self, body: bytes, *, served: bool) -> bytes:
        """Return a request's body with what was delivered as the beginning of its answer."""
        if self.prefix is None:
            return body
        asked = strict_json.decode(body)
        asked["messages"] = [*asked["messages"], {"role": "assistant", "content": self.prefix}]
        if served:  # as vLLM, SGLang and TGI have it
            asked = {"add_generation_prompt": False, "continue_final_message": True, **asked}
        return strict_json.encode(asked)

    def _beyond(self, chunks: list[Chunk]) -> bytes:
        from trunkline.dialects.openai_write import chunk_event

        if self._reader is not None and self._reader.failure is not None:
            self.failure = self._reader.failure
        return b"".join(chunk_event(chunk) for chunk in chunks if chunk.choices or chunk.usage)
