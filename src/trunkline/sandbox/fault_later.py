"""Faults that strike after a request was taken: in its job, or in the file that comes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from trunkline.sandbox.fault import Case, Fault
from trunkline.sandbox.reply import Cut, Reply, Step

_How = Callable[[Case], Reply]
_HTML = b"<!DOCTYPE html><html><head><title>Just a moment...</title></head><body></body></html>"
_HUGE = 10_000_000_000
_BLOCK = bytes(65536)


def _taken(case: Case) -> Reply:
    """Return the good reply: the job will go wrong, or the file's URL is what is wrong."""
    return case.good


def _of_files(how: _How) -> _How:
    """Return a fault of files only; an answer that tells where a file lies stays as it is."""

    def strike(case: Case) -> Reply:
        kind = dict(case.good.headers).get("content-type", "")
        return how(case) if kind.startswith(("audio/", "image/", "video/")) else case.good

    return strike


def _html(_: Case) -> Reply:
    return Reply(200, (("content-type", "text/html; charset=utf-8"),), (_HTML,))


def _missing(_: Case) -> Reply:
    return Reply(404, (("content-type", "text/plain"),), (b"Not Found",))


def _short(case: Case) -> Reply:
    whole = b"".join(case.pieces)
    half = len(whole) // 2
    return case.reply([whole[:half], Cut(), whole[half:]], "length")


def _empty(case: Case) -> Reply:
    return case.reply([])


def _endless(case: Case) -> Iterator[Step]:
    yield from case.pieces
    while True:
        yield _BLOCK


def _huge(case: Case) -> Reply:
    headers = (*case.good.headers, ("content-length", str(_HUGE)))
    return Reply(200, headers, _endless(case), "declared")


def _unbounded(case: Case) -> Reply:
    return case.reply(_endless(case), "chunked")


def _elsewhere(url: str) -> _How:
    def how(_: Case) -> Reply:
        return Reply(302, (("location", url),))

    return how


_FOREIGN = "http://files.example.org/file"
_PRIVATE = "http://169.254.169.254/latest"
_PRIVATE_TLS = "https://169.254.169.254/latest"


def _job(name: str, says: str) -> Fault:
    return Fault(f"job-{name}", "job", says, _taken, late=True)


def _file(name: str, says: str, how: _How) -> Fault:
    return Fault(f"file-{name}", "file", says, _of_files(how), late=True)


LATER: tuple[Fault, ...] = (
    _job("failed", "the job fails, in its provider's words"),
    _job("moderated", "the job's content is refused, in its provider's words"),
    _job("cancelled", "somebody cancels the job"),
    _job("lost", "polls get 404, though the job was accepted"),
    _job("endless", "the job never ends"),
    _job("slow", "the job takes ten polls more"),
    _job("poll-503", "the first poll gets 503"),
    _job("no-output", "the job is done and made nothing"),
    _file("html", "a web page where a file should be", _html),
    _file("404", "the file is gone", _missing),
    _file("empty", "the file has no bytes", _empty),
    _file("short", "the connection closes before the announced length", _short),
    _file("huge", "10 GB are announced, and begin", _huge),
    _file("endless", "no length is announced, and no end comes", _unbounded),
    _file("redirect-http", "a redirect to a foreign host, without TLS", _elsewhere(_FOREIGN)),
    _file("redirect-private", "a redirect to an address that is not public", _elsewhere(_PRIVATE)),
    _file("redirect-private-tls", "the same, with TLS", _elsewhere(_PRIVATE_TLS)),
    _file("url-http", "the file's URL is on a foreign host, without TLS", _taken),
    _file("url-private", "the file's URL is an address that is not public", _taken),
    _file("url-private-tls", "the same, with TLS", _taken),
)
