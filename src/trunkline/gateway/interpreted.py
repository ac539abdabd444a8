"""A call whose client speaks another API than its target's chat: relayed, and its answer written anew."""

from __future__ import annotations

from trunkline.errors import InvalidResponseError
from trunkline.gateway import verdicts
from trunkline.gateway.relay import Relay
from trunkline.gateway.voices import Voice


class Interpreted(Relay):
    """Relays a chat's answer in the words of its exchange's voice."""

    _rewritten = True
    _told = b""
    """A whole answer in the client's API."""

    @property
    def _voice(self) -> Voice:
        voice = self.exchange.voice
        if voice is None:
            raise TypeError("an interpreted call needs a voice")
        return voice

    def _answer(self, data: bytes) -> None:
        if self._read_whole(data) is not None:
            try:
                self._told = self._voice.whole(data)
            except InvalidResponseError as error:
                self._failed(error)
                return
        super()._answer(data)

    def _deliver(self, data: bytes) -> None:  # noqa: ARG002 - which has been told anew
        super()._deliver(self._told)

    def _pass_on(self, data: bytes) -> None:
        try:
            told = self._voice.events(data)
        except InvalidResponseError:
            self._break(data)
            return
        if told:
            super()._pass_on(told)

    def _break(self, data: bytes) -> None:
        """Take what cannot be told in the client's API as the end of the answer, which it cuts short."""
        tap = self._tap
        if tap is not None:
            tap.failure, tap.unreadable, tap.finished = data, True, False

    def _deliver_end(self, rest: bytes) -> bool:
        voice = self._voice
        try:
            last = (voice.events(rest) if rest else b"") + voice.end()
        except InvalidResponseError as error:
            self._cut(verdicts.truncated(error))
            return False
        if self._first:
            super()._pass_on(last)
            self.exchange.end()
        else:
            self.keep(last)
            self.exchange.end(last)
        return True
