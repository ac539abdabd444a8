"""A call whose client speaks another API than its target's chat: relayed, and its answer written anew."""

from __future__ import annotations

from trunkline.errors import InvalidResponseError
from trunkline.gateway.refusals import Fault, of_error, tell
from trunkline.gateway.relay import Relay
from trunkline.gateway.voices import Voice


class Interpreted(Relay):
    """Relays a chat's answer in the words of its exchange's voice."""

    _rewritten = True

    @property
    def _voice(self) -> Voice:
        voice = self.exchange.voice
        if voice is None:
            raise TypeError("an interpreted call needs a voice")
        return voice

    def _deliver(self, data: bytes) -> None:
        try:
            told = self._voice.whole(data)
        except InvalidResponseError as error:
            fault: Fault = of_error(error, hide=self.desk.hide())
            tell(self.exchange, fault)  # the model has worked all the same: it is charged
            return
        super()._deliver(told)

    def _pass_on(self, data: bytes) -> None:
        told = self._voice.events(data)
        if told:
            super()._pass_on(told)

    def _deliver_end(self, rest: bytes) -> None:
        voice = self._voice
        last = (voice.events(rest) if rest else b"") + voice.end()
        if self._first:
            super()._pass_on(last)
            self.exchange.end()
        else:
            self.keep(last)
            self.exchange.end(last)
