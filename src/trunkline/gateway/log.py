"""The gateway's log: one JSON object a line on stderr, or lines for people on a terminal.

Everything that goes through the standard library's logging comes out here: no text can forge a
line or drive a terminal, and what is known as a secret, or looks like one, is taken out.
"""

from __future__ import annotations

import logging
import re
import sys
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Self, TextIO

import msgspec

from trunkline.store.records import Entry
from trunkline.types.money import shown
from trunkline.types.secret_shapes import Secrets, without_cut_word

LONGEST_VALUE = 4000
"""Characters of one value; the rest is cut."""
LONGEST_TRACE = 20_000
_DEEPEST = 4
_MOST_ITEMS = 100
_CONTROLS = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]"
)
"""What breaks lines, drives terminals, or makes text read other than it is."""
_STANDARD = frozenset(
    (*logging.makeLogRecord({}).__dict__, "message", "asctime", "taskName", "told")
)
"""Attributes that every record has; the others are what the caller told beside the event."""
REQUESTS = "trunkline.gateway.requests"
"""The logger of access lines."""
Told = dict[str, object]


class SecretFilter(logging.Filter):
    """Gives a record its clean values as `told`; formatters read nothing else of it."""

    def __init__(self, secrets: Secrets, worker: int | None = None) -> None:
        """Take out what `secrets` knows, now and later; each line says which `worker` it is from."""
        super().__init__()
        self._secrets = secrets
        self._worker = worker

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record through, cleaned."""
        told: Told = {"event": self._clean(record.getMessage())}
        for name, value in record.__dict__.items():
            if name not in _STANDARD and name not in told:
                told[self._text(name)] = self._clean(value)
        told.setdefault("logger", record.name)
        if self._worker is not None:
            told["worker"] = self._worker
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            told.setdefault("error", self._clean(f"{type(error).__name__}: {error}"))
            told["trace"] = self._text("".join(traceback.format_exception(error)), LONGEST_TRACE)
        record.told = told
        return True

    def _clean(self, value: object, depth: int = 0) -> object:
        if value is None or isinstance(value, (bool, float)):
            return value
        if isinstance(value, int):
            return value if abs(value) < 1 << 63 else str(value)
        if depth < _DEEPEST and isinstance(value, Mapping):
            items = list(value.items())[:_MOST_ITEMS]
            return {self._text(str(name)): self._clean(item, depth + 1) for name, item in items}
        if depth < _DEEPEST and isinstance(value, (list, tuple)):
            return [self._clean(item, depth + 1) for item in value[:_MOST_ITEMS]]
        return self._text(value if isinstance(value, str) else str(value))

    def _text(self, text: str, most: int = LONGEST_VALUE) -> str:
        """Return text without secrets and lone surrogates; a long one is cut, and says so."""
        clean = self._secrets.clean(text[:most])
        if len(text) > most:
            clean = f"{without_cut_word(clean)}... ({len(text)} characters)"
        return clean.encode("utf-8", "backslashreplace").decode()


class JsonLines(logging.Formatter):
    """One JSON object a line: `ts`, `level`, `event`, what was told, `error` and `trace`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        told = dict(told_of(record))
        at = _time(record).isoformat(timespec="milliseconds")
        line = {"ts": at, "level": record.levelname, "event": told.pop("event")}
        encoded = msgspec.json.encode(line | {**told, **line})
        return _CONTROLS.sub(_escape, encoded.decode())


class PlainLines(logging.Formatter):
    """Time, level, event and what was told, for people; a trace follows, indented."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line or lines."""
        told = dict(told_of(record))
        event, trace = told.pop("event"), told.pop("trace", None)
        told.pop("logger", None)
        facts = "".join(f"  {name}={_plain(value)}" for name, value in told.items())
        at = _time(record).astimezone().strftime("%H:%M:%S")
        line = _CONTROLS.sub(_escape, f"{at} {record.levelname:<7} {event}{facts}")
        if trace is None:
            return line
        below = (_CONTROLS.sub(_escape, part) for part in str(trace).rstrip("\n").split("\n"))
        return "\n    ".join((line, *below))


class _Stream(logging.StreamHandler[TextIO]):
    """A handler whose own failure does not print the record, which may hold what must be hidden."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Clean the record; one that cannot be is left out, and is no harm to its caller."""
        try:
            return bool(super().filter(record))
        except Exception:
            self.handleError(record)  # arguments that do not fit the message, a str() that raises
            return False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Say that a line is missing, where that can be said at all."""
        error = sys.exc_info()[1]
        try:
            self.stream.write(f"A log line of {record.name} is lost: {type(error).__name__}\n")
        except (OSError, ValueError):
            pass  # stderr is closed or full: there is nobody to tell


class Log:
    """The process's log while it is open. Use it as a context manager."""

    def __init__(
        self,
        secrets: Secrets,
        stream: TextIO | None = None,
        *,
        log_requests: bool = False,
        plain: bool | None = None,
        level: int = logging.INFO,
        worker: int | None = None,
    ) -> None:
        """Write to `stream` (stderr); `plain` is for people, on a terminal unless said otherwise.

        Of several workers, each line says the number.
        """
        self.secrets = secrets
        self.log_requests = log_requests
        target = stream or sys.stderr
        self._handler = _Stream(target)
        self._handler.addFilter(SecretFilter(secrets, worker))
        human = target.isatty() if plain is None else plain
        self._handler.setFormatter(PlainLines() if human else JsonLines())
        self._handler.setLevel(level)
        self._level_before = logging.WARNING

    def __enter__(self) -> Self:
        """Open it."""
        root = logging.getLogger()
        self._level_before = root.level
        root.setLevel(min(self._handler.level, root.level))
        root.addHandler(self._handler)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it; the stream stays open."""
        self._handler.flush()
        logging.getLogger().removeHandler(self._handler)
        logging.getLogger().setLevel(self._level_before)

    def hide(self, secret: str | None) -> None:
        """Have `secret` taken out of every line from now on."""
        self.secrets.hide(secret)

    def ended(self, entry: Entry) -> None:
        """Write an access line, where they were asked for."""
        if self.log_requests:
            logging.getLogger(REQUESTS).info("request", extra=_access(entry))

    def replayed(self, request_id: str, call: str, key: str, status: int) -> None:
        """Write an access line for an answer that was told again, where they were asked for."""
        if self.log_requests:
            told = {"request_id": request_id, "call": call, "key": key, "status": status}
            logging.getLogger(REQUESTS).info("replay", extra=told)


def told_of(record: logging.LogRecord) -> Told:
    """Return the clean values that the filter gave a record."""
    told = record.__dict__["told"]
    assert isinstance(told, dict)  # noqa: S101 - set by the filter before any formatter
    return told


def _access(entry: Entry) -> Told:
    seconds = None if entry.ended is None else round(entry.ended - entry.started, 6)
    return {
        "request_id": entry.id,
        "client_request_id": entry.client_request_id,
        "key": entry.key,
        "endpoint": entry.endpoint,
        "model": entry.model,
        "stream": entry.stream,
        "status": entry.status,
        "outcome": entry.outcome,
        "code": entry.error,
        "upstream": entry.upstream,
        "provider": entry.provider,
        "attempts": entry.attempts,
        "input_tokens": entry.input_tokens,
        "output_tokens": entry.output_tokens,
        "cost": shown(entry.cost),
        "queued": entry.queued,
        "seconds": seconds,
        "first_byte": entry.first_byte,
    }


def _time(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


def _escape(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def _plain(value: object) -> str:
    r"""Return a value for people; one with spaces or signs of its own is quoted."""
    if isinstance(value, str) and re.fullmatch(r"[^\s\"'=\\]+", value):
        return value
    return msgspec.json.encode(value).decode()
