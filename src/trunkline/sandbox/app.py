"""The sandbox itself: a request in, a Reply out, without I/O and without a clock."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from trunkline.dialects.openai_server import error_body
from trunkline.sandbox import hub, router
from trunkline.sandbox.fault import Case, Counter, Fault, UnknownFaultError, choose_fault
from trunkline.sandbox.faults import FAULTS
from trunkline.sandbox.reply import Pause, Reply, Step, json_reply, with_headers
from trunkline.sandbox.visit import Page, Visit
from trunkline.wire import strict_json
from trunkline.wire.http1_read import RequestHead

FAULT_HEADER = "x-sandbox-fault"


def _route(method: str, path: str, page: Page) -> tuple[str, re.Pattern[str], Page]:
    return method, re.compile(path), page


_MODEL = r"(?P<model>[^/]+/[^/]+)"
_PROVIDER = r"/(?P<provider>[a-z0-9-]+)/(?P<path>.+)"

_ROUTES = (
    _route("POST", r"/v1/chat/completions", router.chat),
    _route("GET", r"/v1/models", router.models),
    _route("GET", rf"/v1/models/{_MODEL}", router.model),
    _route("GET", r"/api/models", hub.model_list),
    _route("GET", rf"/api/models/{_MODEL}", hub.model_info),
    _route("GET", r"/api/whoami-v2", hub.who_am_i),
    _route("GET", r"/api/tasks", hub.tasks),
    _route("POST", rf"/hf-inference/models/{_MODEL}/v1/chat/completions", router.hf_inference_chat),
    _route("POST", rf"/(?!v1/|api/){_PROVIDER[1:]}", router.provider_chat),
    _route("GET", rf"/(?!v1/|api/){_PROVIDER[1:]}", router.provider_get),
)


class Sandbox:
    """Answers as Hugging Face's router and Hub do, without a model behind it.

    The same request and seed give the same answer. Safe to use from several threads.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        pace: float | None = None,
        delay: float = 0.0,
        fault: str | None = None,
        faults: Iterable[Fault] = (),
        orgs: Iterable[str] = ("sandbox-org",),
    ) -> None:
        """Set it up.

        `pace` is in tokens a second and `delay` in seconds before the first, both 0 unless given.
        `fault` is put on every request; `faults` adds rows of your own to the table; `orgs` are
        the organisations that calls may be billed to.
        """
        self.seed = seed
        self.orgs = tuple(orgs)
        self._gap = 1 / pace if pace else 0.0
        self._delay = delay
        self._faults = {**FAULTS, **{row.name: row for row in faults}}
        self._counter = Counter()
        self._always = fault
        if fault:
            choose_fault(fault, self._faults)

    def answer(self, head: RequestHead, body: bytes, *, inside: bool = False) -> Reply:
        """Return what a request gets; `inside` is for callers in this process, without a token."""
        visit = Visit(head, body, self.seed, self.orgs, inside, self._gap, self._delay)
        good = _page(visit)
        asked = _decoded(body)
        told = head.headers.get(FAULT_HEADER) or _fault_in_model(head, asked) or self._always
        try:
            reply = self._spoilt(good, asked, told) if told else good
        except UnknownFaultError as error:
            reply = _unknown(told or "", str(error), self._faults)
        return with_headers(self._paced(reply), ("x-request-id", visit.request_id))

    def _spoilt(self, good: Reply, asked: dict[str, Any], told: str) -> Reply:
        """Return the reply with the fault that was told, if its turn has come."""
        chosen = choose_fault(told, self._faults)
        if good.status != 200 and not chosen.row.always:
            return good
        if not self._counter.due(chosen, (told, str(asked.get("model")))):
            return good
        return chosen.row.how(Case(good, chosen.seconds, asked))

    def _paced(self, reply: Reply) -> Reply:
        if not reply.streamed or not (self._gap or self._delay):
            return reply
        return msgspec.structs.replace(reply, steps=self._spread(reply.steps))

    def _spread(self, steps: Iterable[Step]) -> Iterator[Step]:
        wait = self._delay
        for step in steps:
            if wait and isinstance(step, bytes):
                yield Pause(wait)
            wait = self._gap
            yield step


def _page(visit: Visit) -> Reply:
    """Return what the route of a request answers."""
    method = "GET" if visit.head.method == "HEAD" else visit.head.method
    path = visit.head.path
    known = [
        (verb, found, page) for verb, place, page in _ROUTES if (found := place.fullmatch(path))
    ]
    for verb, found, page in known:
        if verb == method:
            return page(visit, found.groupdict())
    if known:
        allowed = ", ".join(sorted({verb for verb, _, _ in known}))
        return json_reply(405, {"error": "Method Not Allowed"}, ("allow", allowed))
    return json_reply(404, {"error": "Not Found"})


def _decoded(body: bytes) -> dict[str, Any]:
    try:
        asked = strict_json.decode(body) if body else {}
    except strict_json.JsonError:
        return {}
    return asked if isinstance(asked, dict) else {}


def _fault_in_model(head: RequestHead, asked: dict[str, Any]) -> str | None:
    """Return the fault that the model's name asks for: `org/fault-NAME`."""
    found = router.FAULT_MODEL.search(str(asked.get("model", "")))
    if found is None and head.path.startswith("/hf-inference/models/"):
        found = router.FAULT_MODEL.search(head.path.removesuffix("/v1/chat/completions"))
    return found["fault"] if found else None


def _unknown(told: str, message: str, table: Mapping[str, Fault]) -> Reply:
    near = difflib.get_close_matches(told.partition(";")[0], table, n=1)
    meant = f" Did you mean {near[0]!r}?" if near else ""
    return json_reply(400, error_body(f"{message}{meant}", code="unknown_fault"))
