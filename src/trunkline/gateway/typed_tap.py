"""Streams whose events say by their type what they are, and have no mark of the end. Pure."""

from __future__ import annotations

from trunkline.gateway.tap import StreamTap


class TypedTap(StreamTap):
    """Follows such a stream; a subclass knows the types."""

    __slots__ = ()

    def _typed(self, data: bytes, name: str) -> bool:
        """Look at the data of one event, an object; tells whether the event goes on as it is."""
        raise NotImplementedError

    def _block(self, block: bytes) -> bytes:
        """Look at one event's lines; nearly all have a name and a line of data."""
        if block[:7] == b"event: " and self.failure is None and not self.done:
            name, _, data = block.partition(b"\n")
            if data[:7] == b"data: {" and b"\n" not in data:
                if self._typed(data[6:], name[7:].decode("utf-8", "replace")):
                    return block + b"\n\n"
                instead = self._instead()
                return name + b"\n" + instead if instead else b""
        return super()._block(block)

    def _event(self, data: bytes, name: str) -> bool:
        if self.failure is not None or self.done:
            return False
        return self._typed(data, name) if data[:1] == b"{" else self._rare(data, name)
