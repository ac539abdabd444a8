"""From what a caller writes to a flow that is ready to run. Shared by both clients; no I/O."""

from __future__ import annotations

import functools
import random
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from trunkline import interposed, model_id
from trunkline.dialects.messages import prepare_messages
from trunkline.errors import InvalidInputError
from trunkline.log_settings import ARGUMENT, LogSettings
from trunkline.parameters import (
    BODY_NAMES,
    TASK_OPTION_NAMES,
    check_kinds,
    check_parameters,
    headers_from,
    timeouts_from,
)
from trunkline.providers.engines import Engines, Seekers
from trunkline.providers.mapping import ModelMaps
from trunkline.providers.spec import Target, accepted
from trunkline.providers.table import PROVIDERS
from trunkline.providers.targets import Places, chat_target, placeholder
from trunkline.routed_calls import RoutedCalls, policy_of
from trunkline.routing import spare
from trunkline.routing.ask import Ask
from trunkline.routing.carry import Account, CallT, Flow, Journey
from trunkline.routing.retry import Retry
from trunkline.settings import Settings, TokenSource, checked_secret
from trunkline.tasks.kinds import check_task, names_of
from trunkline.types import Chat, Messages, Secret, Timeouts
from trunkline.types.tasks import FUNCTIONS, MAX_FILE, TaskCall
from trunkline.wire.http1 import check_header

if TYPE_CHECKING:
    from trunkline.catalog import Catalog, Catalogs
    from trunkline.logbook.notes import Note
    from trunkline.logbook.opening import Logbook
    from trunkline.routing.policy import Policy

T = TypeVar("T")

_parse = functools.lru_cache(maxsize=256)(model_id.parse)
_parse_served = functools.lru_cache(maxsize=256)(model_id.parse_served)


class Defaults(msgspec.Struct, frozen=True):
    """What a client was made with; a call's own keywords come first."""

    secret: Secret | None = None
    api_base: str | None = None
    direct: bool | None = None
    bill_to: str | None = None
    session_id: str | None = None
    headers: dict[str, str] = {}
    timeouts: Timeouts = Timeouts()
    deadline: float | None = None
    max_retries: int = 2
    log: LogSettings = LogSettings()
    route: Policy | None = None


class Remembered:
    """What was looked up, for the calls that follow; made when it is first needed."""

    def __init__(self, settings: Settings) -> None:
        """Know nothing yet."""
        self._settings = settings

    @functools.cached_property
    def maps(self) -> ModelMaps:
        """Which providers serve which models under which names, as the Hub told."""
        return ModelMaps(self._settings.hub_url)

    @functools.cached_property
    def seekers(self) -> Seekers:
        """Where tasks are served."""
        return Seekers(Engines(), self._settings.hub_url)

    @functools.cached_property
    def catalogs(self) -> Catalogs:
        """Models and prices."""
        from trunkline.catalog import Catalogs  # loads prices, which no call needs

        file = self._settings.catalog_file.value
        return Catalogs(Path(file) if file else None)


class Calls(RoutedCalls):
    """Makes flows, on one set of settings and defaults."""

    def __init__(self, settings: Settings, tokens: TokenSource, defaults: Defaults) -> None:
        """Keep them; nothing is looked up before the first call."""
        super().__init__()
        self.settings = settings
        self.defaults = defaults
        self._tokens = tokens
        self._remembered = Remembered(settings)
        self._logbook: Logbook | None = None
        if defaults.log.wanted:
            from trunkline.logbook.opening import Logbook  # loads a database's driver

            self._logbook = Logbook(defaults.log, self._prices_at_hand)
        self._spare = spare.retries()

    def chat(
        self, model: str, messages: Messages, given: Mapping[str, Any], *, stream: bool
    ) -> tuple[Journey[Chat], Target]:
        """Return one chat, ready for a flow, and where it goes.

        Raises InvalidInputError or AuthenticationError before anything is sent.
        """
        check_parameters(given)
        api_base = given.get("api_base") or self.defaults.api_base
        parsed = parsed_model(model, api_base)
        return self.chat_at(parsed, api_base, prepare_messages(messages), given, stream=stream)

    def chat_at(
        self,
        parsed: model_id.ModelId,
        api_base: str | None,
        messages: list[dict[str, Any]],
        given: Mapping[str, Any],
        *,
        stream: bool,
        found: bool = False,
    ) -> tuple[Journey[Chat], Target]:
        """Return one chat with a model that has been read, and where it goes; raises as `chat`.

        `found`: with the token that is found, whatever the client was given for a server.
        """
        defaults = self.defaults
        get = given.get
        places = self._places(given, parsed, api_base)
        if found:
            places = msgspec.structs.replace(places, secret=self._found_token(), explicit=False)
        target = chat_target(parsed, places)
        chat = Chat(
            model=parsed,
            messages=messages,
            parameters=_body_parameters(given, target, str(parsed)),
            stream=stream,
            extra_body=dict(get("extra_body") or {}),
            extra_headers={**defaults.headers, **headers_from(get("extra_headers"))},
            think_tags=bool(get("think_tags")),
            timeouts=timeouts_from(get("timeout"), defaults.timeouts),
            deadline=checked_deadline(get("deadline", defaults.deadline)),
            max_retries=_first(get("max_retries"), defaults.max_retries),
        )
        return self._journey(chat, places), target

    def ask(
        self,
        task: str,
        model: str,
        inputs: Any,
        parameters: Mapping[str, Any],
        options: Mapping[str, Any],
        finish: Callable[[Any], Any] | None = None,
    ) -> Ask[Any]:
        """Return a call of a task, ready for its flow.

        Raises InvalidInputError or AuthenticationError before anything is sent.
        """
        own = names_of(task, parameters)
        check_parameters(options, TASK_OPTION_NAMES, own)
        if task in FUNCTIONS:
            check_task(task, parameters, options)
        else:  # another form of a chat
            check_kinds(parameters)
        defaults = self.defaults
        get = options.get
        api_base = get("api_base") or defaults.api_base
        parsed = parsed_model(model, api_base)
        call = TaskCall(
            task=task,
            model=parsed,
            inputs=inputs,
            parameters={name: value for name, value in parameters.items() if value is not None},
            extra_body=dict(get("extra_body") or {}),
            extra_headers={**defaults.headers, **headers_from(get("extra_headers"))},
            timeouts=timeouts_from(get("timeout"), defaults.timeouts),
            deadline=checked_deadline(get("deadline", defaults.deadline)),
            max_retries=_first(get("max_retries"), defaults.max_retries),
            drop_params=bool(get("drop_params")),
            download=get("download") is not False,
            max_bytes=get("max_bytes") or MAX_FILE,
            on_progress=get("on_progress"),
        )
        places = self._places(options, parsed, api_base)
        route = policy_of(get("route"))
        return Ask(self._journey(call, places), places, finish, route=route)

    def note(self, journey: Journey[Any], what: str = "call") -> Note | None:
        """Begin the note of a call in the local log; None where calls are not logged."""
        if self._logbook is None or what not in ("call", "resume"):
            return None
        if interposed.present() is not None and self.defaults.log.origin != ARGUMENT:
            return None  # a test records or replays: the user's own log is no place for that
        return self._logbook.note(journey)

    @property
    def is_logging(self) -> bool:
        """Whether calls are logged."""
        return self._logbook is not None

    def flush(self) -> None:
        """Write what the local log still waits for."""
        if self._logbook is not None:
            self._logbook.flush()

    def _prices_at_hand(self) -> Catalog:
        return self.catalogs.offline(self.settings)

    @property
    def remembered(self) -> Remembered:
        """What was looked up before; while a test records or replays, since that began."""
        interposer = interposed.present()
        if interposer is None:
            return self._remembered
        return interposer.apart(self, lambda: Remembered(self.settings))

    @property
    def maps(self) -> ModelMaps:
        """Which providers serve which models under which names, as the Hub told."""
        return self.remembered.maps

    @property
    def catalogs(self) -> Catalogs:
        """What is known of models and prices."""
        return self.remembered.catalogs

    @property
    def seekers(self) -> Seekers:
        """What is remembered between calls of where tasks are served."""
        return self.remembered.seekers

    def _journey(self, call: CallT, places: Places) -> Journey[CallT]:
        # the budget of a test has no past: how fast its calls follow each other is no matter
        budget = self._spare if interposed.present() is None else spare.retries()
        retry = Retry(call.max_retries, random.random, spare=budget)
        account = Account(places.secret, places.bill_to)
        return Journey(call, retry, time.monotonic(), self.maps, self._hub_secret, account)

    def _hub_secret(self, given: Secret | None) -> Secret | None:
        """Return a call's credential if it is Hugging Face's, else the one that was found."""
        if given is not None and given.is_hugging_face:
            return given
        found = self._found_token()
        return found if found is not None and found.is_hugging_face else None

    def renew(self, refused: Secret) -> Secret | None:
        """Look whether a refused token has been replaced; one that was passed in stays."""
        if refused.origin.startswith("the argument"):
            return None
        return self._tokens.renew(refused)

    def _places(
        self, given: Mapping[str, Any], model: model_id.ModelId, api_base: str | None
    ) -> Places:
        get = given.get
        defaults = self.defaults
        secret, explicit = self.secret(given, model)
        bill_to = get("bill_to") or defaults.bill_to
        return Places(
            router=self.settings.router_url,
            api_base=api_base,
            secret=secret,
            explicit=explicit,
            direct=get("direct", defaults.direct),
            bill_to=_header_value("x-hf-bill-to", bill_to or self.settings.bill_to.value),
            bill_to_explicit=bill_to is not None,
            session_id=_header_value("x-hf-session-id", get("session_id") or defaults.session_id),
            engine=get("engine"),
        )

    def secret(
        self, given: Mapping[str, Any], model: model_id.ModelId
    ) -> tuple[Secret | None, bool]:
        """Return the credential of a call, and whether the caller gave it."""
        token, key = given.get("token"), given.get("api_key")
        if token is not None or key is not None:
            return given_secret(token, key), True
        if self.defaults.secret is not None:
            return self.defaults.secret, True
        if model.scheme == "sandbox":
            return None, False
        return self._found_token(), False

    @property
    def finds_token(self) -> bool:
        """Whether there is a token for calls that were given none, or a stand-in for one."""
        return self._found_token() is not None or placeholder(self.settings.router_url) is not None

    def _found_token(self) -> Secret | None:
        found = self._tokens.current()
        if found is None and (interposer := interposed.present()) is not None:
            return interposer.token
        return found


def watched(flow: Flow[T], note: Note | None, *, opens: bool = False) -> Flow[T]:
    """Return a flow whose end is noted in the log, where there is one; or that `opens` a stream."""
    return flow if note is None else note.watch(flow, opens=opens)


def given_secret(token: str | None, api_key: str | None) -> Secret | None:
    """Return the credential that a caller passed under either name; raises for both at once."""
    if token is not None and api_key is not None:
        raise InvalidInputError("token and api_key are the same thing; give one of them.")
    if token is not None:
        return checked_secret(token, "the argument token=")
    return None if api_key is None else checked_secret(api_key, "the argument api_key=")


def parsed_model(model: str, api_base: str | None) -> model_id.ModelId:
    """Read a model string; raises InvalidInputError."""
    try:
        return _parse(model) if api_base is None else _parse_served(model)
    except TypeError:  # unhashable, so no string
        return model_id.parse(model)


def _body_parameters(given: Mapping[str, Any], target: Target, model: str) -> dict[str, Any]:
    body = {
        name: value for name, value in given.items() if value is not None and name in BODY_NAMES
    }
    if not body.get("tools", True):
        del body["tools"]  # some servers refuse an empty list
    if "tools" in body:
        from trunkline.tools import tool_schemas  # loads inspection code that few calls need

        body["tools"] = tool_schemas(body["tools"])
    if "max_completion_tokens" in body and target.provider != "openai" and target.via != "served":
        # Hugging Face's own specification knows only max_tokens
        limit = body.pop("max_completion_tokens")
        body.setdefault("max_tokens", limit)
    row = PROVIDERS.get(target.provider or "")
    if row is None or not row.chat_refuses:
        return body
    drop = bool(given.get("drop_params"))
    return accepted(body, row.chat_refuses, row.title, model, drop=drop)


def _header_value(name: str, value: str | None) -> str | None:
    if value is not None:
        check_header(name, value)
    return value


def checked_deadline(value: float | None) -> float | None:
    """Return a deadline as it was given; raises InvalidInputError for what is none."""
    if value is not None and value <= 0:
        raise InvalidInputError(f"deadline is {value}; seconds above 0 are expected.")
    return value


def _first(value: int | None, default: int) -> int:
    return default if value is None else value
