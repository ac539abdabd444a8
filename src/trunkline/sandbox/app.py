"""The sandbox itself: a request in, a Reply out, without I/O and without a clock."""

from __future__ import annotations

import difflib
import importlib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from trunkline.dialects.openai_server import error_body
from trunkline.sandbox import hub, router
from trunkline.sandbox.fault import Case, Chosen, Counter, Fault, UnknownFaultError, choose_fault
from trunkline.sandbox.faults import FAULTS
from trunkline.sandbox.job_store import Jobs
from trunkline.sandbox.reply import (
    Pause,
    RefusedError,
    Reply,
    Step,
    json_reply,
    with_headers,
)
from trunkline.sandbox.visit import Embed, Page, Visit
from trunkline.wire import strict_json
from trunkline.wire.http1_read import RequestHead

FAULT_HEADER = "x-sandbox-fault"
PROVIDER_HEADER = "x-inference-provider"
_FAULT_IN_PATH = re.compile(r"/fault-(?P<fault>[^:/]+)")


def _route(method: str, path: str, page: Page) -> tuple[str, re.Pattern[str], Page]:
    return method, re.compile(path), page


def _later(place: str) -> Page:
    """Return the page `module.name`, loaded when it is first asked for: chats need none of it."""
    module, _, name = place.partition(".")

    def page(visit: Visit, parts: dict[str, str]) -> Reply:
        found: Page = getattr(importlib.import_module(f"trunkline.sandbox.{module}"), name)
        return found(visit, parts)

    return page


_MODEL = r"(?P<model>[^/]+/[^/]+)"
_ANY_MODEL = r"(?P<model>[^/]+(?:/[^/]+)?)"
_PROVIDER = r"/(?!(?:v1|api|files|tei|tgi|endpoint|server)/)(?P<provider>[a-z0-9-]+)/(?P<path>.+)"
_HF = rf"/hf-inference/models/{_ANY_MODEL}"
_TASK = r"(?P<task>[a-z-]+)"

_ROUTES = (
    _route("POST", r"/v1/chat/completions", router.chat),
    _route("POST", r"/v1/responses", _later("responses.respond")),
    _route("POST", r"/v1/messages", _later("anthropic.respond")),
    _route("GET", r"/v1/models", router.models),
    _route("GET", rf"/v1/models/{_MODEL}", router.model),
    _route("GET", r"/api/models", hub.model_list),
    _route("GET", rf"/api/models/{_ANY_MODEL}", hub.model_info),
    _route("GET", r"/api/whoami-v2", hub.who_am_i),
    _route("GET", r"/api/tasks", hub.tasks),
    _route("GET", r"/api/partners/(?P<provider>[^/]+)/models", hub.partner_models),
    _route("GET", r"/files/(?:fault-[^/]+/)?(?P<name>[^/]+)", _later("media_files.file")),
    _route("POST", rf"{_HF}/v1/chat/completions", router.hf_inference_chat),
    _route("POST", rf"{_HF}/v1/completions", _later("pipelines.completions")),
    _route("POST", rf"{_HF}(?:/pipeline/{_TASK})?", _later("pipelines.pipeline")),
    _route("POST", rf"/endpoint/{_TASK}", _later("pipelines.endpoint")),
    _route("POST", r"/tei(?P<path>/.*)?", _later("tei.serve")),
    _route("GET", r"/tei(?P<path>/.*)", _later("tei.tell")),
    _route("POST", r"/tgi(?P<path>/.*)?", _later("tgi.serve")),
    _route("GET", r"/tgi(?P<path>/.*)", _later("tgi.tell")),
    _route("POST", r"/server/v1/videos", _later("server_videos.submit")),
    _route("GET", r"/server/v1/videos/(?P<id>[^/]+)", _later("server_videos.state")),
    _route("GET", r"/server/v1/videos/(?P<id>[^/]+)/content", _later("server_videos.content")),
    _route("DELETE", r"/server/v1/videos/(?P<id>[^/]+)", _later("server_videos.drop")),
    _route("POST", r"/server/(?P<path>v1/.+)", router.server_post),
    _route("POST", _PROVIDER, router.provider_post),
    _route("PUT", _PROVIDER, router.provider_other),
    _route("GET", _PROVIDER, router.provider_other),
)


class Sandbox:
    """Answers as Hugging Face's router and Hub do, without a model behind it.

    The same request and seed give the same answer. Safe to use from several threads.
    """

    def __init__(  # noqa: PLR0913  # keywords, each a setting of its own
        self,
        *,
        seed: int = 0,
        pace: float | None = None,
        delay: float = 0.0,
        fault: str | None = None,
        faults: Iterable[Fault] = (),
        orgs: Iterable[str] = ("sandbox-org",),
        job_polls: int = 2,
        embed: Embed | None = None,
        at: Mapping[str, str] | None = None,
    ) -> None:
        """Set it up.

        `pace` is in tokens a second and `delay` in seconds before the first, both 0 unless given.
        `fault` is put on every request; `faults` adds rows of your own to the table; `orgs` are
        the organisations that calls may be billed to. `job_polls` is how many polls find a job
        unfinished. `embed` turns texts into vectors in place of the sandbox's own hashing. `at` gives
        some providers a fault of their own, put on what they answer.
        """
        self.seed = seed
        self.orgs = tuple(orgs)
        self._gap = 1 / pace if pace else 0.0
        self._delay = delay
        self._faults = {**FAULTS, **{row.name: row for row in faults}}
        self._counter = Counter()
        self._jobs = Jobs(job_polls)
        self._embed = embed
        self._always = fault
        if fault:
            choose_fault(fault, self._faults)
        self._at = {name: choose_fault(told, self._faults) for name, told in (at or {}).items()}
        late = [chosen.told for chosen in self._at.values() if chosen.row.late]
        if late:
            raise UnknownFaultError(
                f"{late[0]!r} strikes a job or a file: no provider can have it."
            )

    def answer(self, head: RequestHead, body: bytes, *, inside: bool = False) -> Reply:
        """Return what a request gets; `inside` is for callers in this process, without a token."""
        asked = _decoded(head, body)
        visit = Visit(
            head, body, self.seed, self.orgs, self._jobs, inside, self._gap, self._delay, asked,
            embed=self._embed,
        )  # fmt: skip
        told = head.headers.get(FAULT_HEADER) or _fault_in_name(head, asked) or self._always
        try:
            chosen = choose_fault(told, self._faults) if told else None
        except UnknownFaultError as error:
            reply = _unknown(told or "", str(error), self._faults)
        else:
            reply = self._spoilt(visit, chosen) if chosen else self._placed(visit)
        return with_headers(self._paced(reply), ("x-request-id", visit.request_id))

    def _spoilt(self, visit: Visit, chosen: Chosen) -> Reply:
        """Return the reply with the fault that was told, if its turn has come."""
        row, key = chosen.row, (chosen.told, str(visit.asked.get("model")))
        if row.late:
            if visit.head.method == "POST" and not self._counter.due(chosen, key):
                return _page(visit)
            visit = msgspec.structs.replace(visit, fault=row.name)
        good = _page(visit)
        if row.late and (row.always or good.status < 300):
            return row.how(Case(good, chosen.seconds, visit.asked))
        return good if row.late else self._with_fault(visit, good, chosen)

    def _placed(self, visit: Visit) -> Reply:
        """Return the reply with the fault of the provider that answers, where it has one."""
        good = _page(visit)
        if not self._at or visit.head.method != "POST":
            return good
        chosen = self._at.get(_answers_as(visit, good))
        return good if chosen is None else self._with_fault(visit, good, chosen)

    def _with_fault(self, visit: Visit, good: Reply, chosen: Chosen) -> Reply:
        if good.status >= 300 and not chosen.row.always:
            return good
        if not self._counter.due(chosen, (chosen.told, str(visit.asked.get("model")))):
            return good
        return chosen.row.how(Case(good, chosen.seconds, visit.asked, visit.head.headers))

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


def _answers_as(visit: Visit, reply: Reply) -> str:
    """Return the provider that answers: as the router tells in a header, or as its path says."""
    told = (value for name, value in reply.headers if name == PROVIDER_HEADER)
    return next(told, visit.head.path.split("/")[1])


def _page(visit: Visit) -> Reply:
    """Return what the route of a request answers."""
    method = "GET" if visit.head.method == "HEAD" else visit.head.method
    path = visit.head.path
    known = [
        (verb, found, page) for verb, place, page in _ROUTES if (found := place.fullmatch(path))
    ]
    for verb, found, page in known:
        if verb == method:
            return _answer(page, visit, found.groupdict(""))
    if known:
        allowed = ", ".join(sorted({verb for verb, _, _ in known}))
        return json_reply(405, {"error": "Method Not Allowed"}, ("allow", allowed))
    return json_reply(404, {"error": "Not Found"})


def _answer(page: Page, visit: Visit, parts: dict[str, str]) -> Reply:
    try:
        return page(visit, parts)
    except RefusedError as refused:
        return refused.reply
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        # a value that no page expected: a server says so, and does not hang up
        return json_reply(500, {"error": f"unknown error: {error}"})


def _decoded(head: RequestHead, body: bytes) -> dict[str, Any]:
    """Return a body's fields; none where it is neither an object nor a form."""
    if head.headers.get("content-type", "").startswith("multipart/form-data"):
        from trunkline.sandbox import forms  # chats send none

        return forms.read_fields(head.headers["content-type"], body)
    try:
        asked = strict_json.decode(body) if body else {}
    except strict_json.JsonError:
        return {}
    return asked if isinstance(asked, dict) else {}


def _fault_in_name(head: RequestHead, asked: dict[str, Any]) -> str | None:
    """Return the fault that the model's name asks for, in the body or the path, or a file's path.

    `org/fault-NAME`. A poll's path names no model that could fail.
    """
    found = router.FAULT_MODEL.search(str(asked.get("model", "")))
    if found is None and (head.method == "POST" or head.path.startswith("/files/")):
        found = _FAULT_IN_PATH.search(head.path)
    return found["fault"] if found else None


def _unknown(told: str, message: str, table: Mapping[str, Fault]) -> Reply:
    near = difflib.get_close_matches(told.partition(";")[0], table, n=1)
    meant = f" Did you mean {near[0]!r}?" if near else ""
    return json_reply(400, error_body(f"{message}{meant}", code="unknown_fault"))
