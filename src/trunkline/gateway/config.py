"""The gateway's configuration as one frozen value; where it comes from is `config_file`'s affair.

Money is in US dollars, time in seconds, sizes in bytes.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

from trunkline.routing.policy import By, OnCut, Order

UnknownPrice = Literal["refuse-if-budgeted", "refuse", "reserve", "count"]
"""What to do with a call whose most is unknown. `refuse-if-budgeted` refuses callers that have a
budget and counts the others; `refuse` everybody; `reserve` holds and charges a fixed amount; `count`
lets it pass and counts it as unknown."""
Api = Literal["chat", "messages", "responses"]


class Listen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where clients connect."""

    host: str = "127.0.0.1"
    port: int = 4000
    tls_certificate: str | None = None
    """PEM file with the chain."""
    tls_key: str | None = None
    connections: int = 20_000
    """Open at the same time; more are answered 503 and closed."""
    public_url: str | None = None
    """Where clients find the gateway, if a proxy stands in front of it."""
    workers: int = 1
    """Processes that serve on the port. With more than one, a supervisor starts and replaces them."""


class Edge(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a client may send, and how long it may take."""

    head_bytes: int = 32 * 1024
    headers: int = 100
    body_bytes: int = 10 * 1024 * 1024
    upload_bytes: int = 32 * 1024 * 1024
    """Of a request's body that may have files in it."""
    file_bytes: int = 128 * 1024 * 1024
    """Of a file that a model made, or that is fetched."""
    fetch_urls: bool = False
    """Whether files that clients name by URL are fetched, where a provider takes none by URL."""
    head_seconds: float = 10.0
    body_seconds: float = 60.0
    idle_seconds: float = 75.0
    """Between requests on one connection."""
    total_seconds: float = 3600.0
    """From a request's head to the end of its answer."""
    stall_seconds: float = 60.0
    """For a client that does not read its answer."""
    drain_seconds: float = 30.0
    """After SIGTERM, for answers to end."""
    concurrency: int | None = None
    """Calls that are sent at the same time, by each process, wherever they go; more wait."""


class Queue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Calls that wait where no target of theirs lets them in."""

    size: int = 100
    """That may wait for the same upstreams, in each process; 0 has them refused at once."""
    seconds: float = 30.0
    """For which one waits."""


class Idempotency(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether a request with `Idempotency-Key` is done once, and its answer kept to be told again."""

    enabled: bool = True
    """Off, such requests are refused: they could be done twice."""
    retention_hours: float = 24.0
    max_bytes: int = 1024 * 1024
    """Of an answer; of a larger one only that there was one is kept."""


class Cors(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sites whose scripts may call from a browser: none unless they are listed."""

    origins: tuple[str, ...] = ()
    """As browsers send them, `https://chat.example.org`; `*` alone is every site."""
    methods: tuple[str, ...] = ("GET", "POST")
    headers: tuple[str, ...] = (
        "authorization",
        "content-type",
        "user-agent",
        "idempotency-key",
        "x-api-key",
        "x-request-id",
        "x-client-request-id",
        "x-stainless-*",
        "x-trunkline-*",
        "openai-*",
        "anthropic-*",
    )
    """Headers that scripts may send; `*` is any run of characters."""
    max_age_seconds: int = 600
    """How long a browser may remember what it was told."""


class Price(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """US dollars for a million tokens, or for a call; 0 says that it is free."""

    input: Decimal | None = None
    output: Decimal = Decimal(0)
    context: int | None = None
    """Tokens that prompt and answer may have together."""
    request: Decimal | None = None
    """For a call, where its tokens or their price are not known."""


class UpstreamLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many calls are sent, by all processes together; without them any number is."""

    requests_per_minute: int | None = None
    concurrency: int | None = None
    """At the same time."""


class UpstreamProvider(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is particular to one of an upstream's providers."""

    limits: UpstreamLimits = UpstreamLimits()
    """For calls that name the provider, beside the upstream's own."""


class Upstream(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A server that answers: Hugging Face's router, a provider, or any OpenAI-compatible one."""

    kind: Literal["huggingface", "openai", "provider"] = "openai"
    base_url: str | None = None
    """`http://host:port/v1`; needed for `openai` alone."""
    provider: str | None = None
    """The provider's name at Hugging Face, for `provider`: its own address, with its own key."""
    key_env: str | None = None
    """The environment variable that holds the key. For `huggingface`, without one, the token that
    `hf auth login` keeps."""
    bill_to: str | None = None
    prices: dict[str, Price] = {}
    """By the upstream's name of the model; `*` stands for every other."""
    models: tuple[str, ...] = ()
    """Models to list in `/v1/models` as `<upstream>/<model>`."""
    speaks: tuple[Api, ...] | None = None
    """The APIs in which it is asked. None is `chat` and, for `huggingface` and for the providers that
    have it (`groq`, `openai`), `responses`; `messages` is Anthropic's. Clients of an API that it does
    not speak are served by chats."""
    connect_seconds: float = 5.0
    first_byte_seconds: float = 600.0
    idle_seconds: float = 60.0
    """Between two pieces of an answer."""
    connections: int = 10_000
    """Open at the same time; calls beyond are refused with 503."""
    limits: UpstreamLimits = UpstreamLimits()
    """Calls beyond go to the route's next target, or wait."""
    providers: dict[str, UpstreamProvider] = {}
    """By the provider's name at Hugging Face."""


class Target(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a route may go."""

    upstream: str
    model: str
    name: str | None = None
    """What `weights`, `allow`, `deny` and reports call it; without one `<upstream>/<model>`, or for a
    model of Hugging Face the provider that it names."""
    can: tuple[str, ...] | None = None
    """What is known to work there, for `needs`; of Hugging Face's providers the catalog tells."""


class RouteRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """In which order targets are asked, which are left out, when the next one is asked."""

    order: Order = "fixed"
    """With any other than `fixed`, and with limits, a model of Hugging Face that names no provider
    stands for all that serve it."""
    by: By = "first_token"
    """What `fastest` and `balanced` go by."""
    weights: dict[str, float] = {}
    """For `weighted`, by the targets' names; one without a weight has 1, one with 0 is not asked."""
    max_price: Decimal | None = None
    """US dollars for a million tokens that neither price may exceed; unknown prices do."""
    max_input_price: Decimal | None = None
    """The same, of the price of input alone."""
    min_context: int | None = None
    """Tokens that the context has to be known to hold."""
    needs: tuple[str, ...] | None = None
    """What has to be known to work there: `tools`, `vision`, `audio`, `json_schema`, `reasoning`."""
    allow: tuple[str, ...] | None = None
    """Names of targets, or providers, that may be asked alone."""
    deny: tuple[str, ...] | None = None
    """Those that may not."""
    regions: tuple[str, ...] | None = None
    """Where a provider has to be known to be."""
    fallbacks: tuple[str, ...] | None = None
    """Routes or models whose targets are asked after all of these."""
    move_on: tuple[str, ...] | None = None
    """Refusals after which the next target is asked: `content`, `capability`."""
    on_cut: OnCut = "error"
    """What is done where a stream breaks after its first token."""
    hold_tokens: int | None = None
    """For `hold`: how many tokens are kept back before the first is delivered."""
    hold_seconds: float | None = None
    """For `hold`: how long."""
    takes_prefix: tuple[str, ...] | None = None
    """For `continue`: the targets that are known to go on from a beginning of their answer."""
    first_token_seconds: float = 10.0
    """How long a target may be silent before its stream begins, while another one remains."""
    hedge: bool = False
    """Whether a second target is asked too where the first is slower than it nearly ever is."""


class Route(RouteRules, frozen=True, forbid_unknown_fields=True):
    """A public name and its targets."""

    targets: tuple[Target, ...]
    deadline_seconds: float | None = None
    """That a call may take in all."""


class Money(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How calls are priced before they are sent."""

    unknown_price: UnknownPrice = "refuse-if-budgeted"
    fixed_reserve: Decimal = Decimal("0.05")
    """For `reserve`."""


class StoreConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where keys and the ledger are kept."""

    path: str | None = None
    """The SQLite file. Without it and `url`, `trunkline/gateway.db` in XDG's data directory."""
    url: str | None = None
    """A PostgreSQL database, `postgresql://user@host:5432/name`, in place of a file."""
    password_env: str | None = None
    """The environment variable that holds the database's password."""
    journal: str | None = None
    """The journal's folder. Without it, beside the SQLite file, or for a database
    `trunkline/gateway.journal` in XDG's data directory."""
    connections: int = 5
    """To the database, at the most."""
    connect_seconds: float = 5.0
    statement_seconds: float = 10.0
    """For the database to do what it is asked."""
    redis_url: str | None = None
    """A Redis or Valkey that shares limits out between processes, `redis://host:6379/0`; without it
    the store does."""
    redis_password_env: str | None = None
    """The environment variable that holds its password."""
    on_down: Literal["refuse", "spool"] = "refuse"
    """While the store cannot be written: refuse calls, or go on with the journal alone."""
    spool_bytes: int = 256 * 1024 * 1024
    """Of journal that may wait for the store; calls are refused beyond."""
    durability: Literal["process", "power"] = "process"
    """`process`: what was noted survives the process's death. `power`: also the machine's, at the
    price of a sync to disk before calls are sent."""
    lost_seconds: float = 60.0
    """Without a sign of life, after which other processes on the store give one up and settle what it
    left as unknown."""


class ContentConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether prompts and answers are kept: not unless asked for."""

    store: bool = False
    retention_days: float = 7.0
    max_bytes: int = 64 * 1024
    """Of each prompt and each answer."""
    redact: tuple[str, ...] = ()
    """Regular expressions; what they match is replaced, beside keys, tokens and e-mail addresses."""


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of it."""

    listen: Listen = Listen()
    edge: Edge = Edge()
    queue: Queue = Queue()
    upstreams: dict[str, Upstream] = {}
    """By name. `huggingface` is there unless another upstream is `default_upstream`."""
    default_upstream: str = "huggingface"
    """Serves every model that no route names."""
    routes: dict[str, Route] = {}
    default_route: RouteRules = RouteRules()
    """For models of Hugging Face that no route names, and that name no provider; without a setting
    the router chooses."""
    marks_file: str | None = None
    """Where `trunkline bench --watch` keeps its marks: routes leave out the providers marked there."""
    money: Money = Money()
    store: StoreConfig = StoreConfig()
    content: ContentConfig = ContentConfig()
    idempotency: Idempotency = Idempotency()
    cors: Cors = Cors()
    unlisted_models: Literal["refuse", "pass"] = "refuse"
    """What becomes of a model that the router's own list does not have."""
