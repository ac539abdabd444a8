"""`trunkline keys`: make, show, rotate and take back the gateway's keys, in its store's file.

Whoever can write that file is an admin; a running gateway takes note within a second.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, get_args

import click

from trunkline.cli.given import read_budget, read_length, read_moment, shown_moment
from trunkline.cli.inert import inert_line
from trunkline.cli.key_budgets import budget, budgets_cell, limits_cell
from trunkline.cli.key_store import common, joined, key_of, opened, print_json, wished
from trunkline.cli.report import note
from trunkline.cli.rows import print_rows
from trunkline.gateway import keyring
from trunkline.gateway.admin.views import KeyMade, KeyView, key_view, key_views
from trunkline.gateway.keyring import OPERATOR
from trunkline.gateway.wishes import KeyChange, KeyWish
from trunkline.store.records import Key, Limits, Priority, Reach, Scope
from trunkline.store.seam import Store

F = TypeVar("F", bound=Callable[..., Any])
COLUMNS = ("id", "name", "role", "owner", "team", "state", "secret", "expires", "budgets")
ROLES = click.Choice(["caller", "viewer", "team-admin", "admin"])
PRIORITIES = click.Choice(get_args(Priority))
ENDPOINTS = click.Choice(sorted(get_args(Reach)))
_LIMITS = {"rpm": "requests_per_minute", "tpm": "tokens_per_minute", "concurrency": "concurrency"}


def properties(function: F) -> F:
    """Add the options that say what a key is and may do."""
    for option in (
        click.option("--expires", metavar="WHEN", help="2027-01-31, 30d, or never."),
        click.option("--budget", "budgets", multiple=True, metavar="USD/PERIOD",
                     help="Most to be spent: 50/month, 2.50/day; none. May be repeated."),
        click.option("--priority", type=PRIORITIES,
                     help="batch: its calls wait behind interactive ones, and give way to them."),
        click.option("--deadline", metavar="TIME", help="That a call may take: 30s, 5m; or none."),
        click.option("--concurrency", type=int, metavar="N", help="Calls at the same time."),
        click.option("--tpm", type=int, metavar="N", help="Tokens a minute."),
        click.option("--rpm", type=int, metavar="N", help="Requests a minute."),
        click.option("--endpoint", "endpoints", multiple=True, type=ENDPOINTS,
                     help="Only this endpoint. May be repeated."),
        click.option("--provider", "providers", multiple=True, metavar="NAME",
                     help="Only this provider. May be repeated."),
        click.option("--model", "models", multiple=True, metavar="PATTERN",
                     help="Only models of this name; * is any run of characters. May be repeated."),
        click.option("--team", metavar="NAME", help="The team whose budgets it shares."),
        click.option("--owner", metavar="NAME", help="The owner whose budgets it shares."),
        click.option("--role", type=ROLES, help="What it may do beside calls; caller: nothing."),
        click.option("--name", metavar="TEXT", help="A name for people."),
    ):  # fmt: skip
        function = option(function)
    return function


quietly = click.option("-q", "--quiet", is_flag=True, help="Print the secret and nothing else.")


@click.group(name="keys")
def command() -> None:
    """Make, show, rotate and take back the gateway's keys.

    They are kept in the gateway's store, which need not be running; a running one takes note
    within a second.
    """


command.add_command(budget)


@command.command(name="create")
@properties
@quietly
@common
def create(*, store_file: str | None, as_json: bool, quiet: bool, **options: Any) -> None:
    """Make a key and print its secret, once: only its digest is kept.

    The secret is on stdout, what is told of it on stderr.
    """
    now = time.time()
    wish = wished(fields_of(Key(""), options, now), KeyWish)
    with opened(store_file, make=True) as store:
        key, secret = keyring.issue(store, wish, OPERATOR, now)
        _tell_secret(_view(store, key, now), secret, as_json=as_json, quiet=quiet)


@command.command(name="list")
@click.option("--all", "over", is_flag=True, help="Revoked and expired keys, too.")
@click.option("--owner", metavar="NAME", help="Only this owner's.")
@click.option("--team", metavar="NAME", help="Only this team's.")
@common
def list_keys(
    *, store_file: str | None, as_json: bool, over: bool, owner: str | None, team: str | None
) -> None:
    """List keys, the newest first. Of a secret there are only the last four characters."""
    now = time.time()
    with opened(store_file) as store:
        keys = key_views(store.keys(), store.secrets(), now)
    found = [
        key
        for key in sorted(keys, key=lambda key: (key.created, key.id), reverse=True)
        if (over or key.state == "live") and owner in (None, key.owner) and team in (None, key.team)
    ]
    if as_json:
        print_json(found)
    elif found:
        print_rows(COLUMNS, [_row(key, now) for key in found])
    else:
        hidden = "" if over or not keys else " --all shows the revoked and expired ones, too."
        note(f"No key fits.{hidden}")


@command.command(name="show")
@click.argument("key_id", metavar="ID")
@common
def show(key_id: str, *, store_file: str | None, as_json: bool) -> None:
    """Show all that is kept of a key."""
    now = time.time()
    with opened(store_file) as store:
        key = _view(store, key_of(store, key_id), now)
    if as_json:
        print_json(key)
        return
    for name, value in _lines(key):
        click.echo(f"{name:<10} {inert_line(value) or '-'}")


@command.command(name="change")
@click.argument("key_id", metavar="ID")
@properties
@common
def change(key_id: str, *, store_file: str | None, as_json: bool, **options: Any) -> None:
    """Change a key; what is not given stays as it is."""
    now = time.time()
    with opened(store_file) as store:
        key = key_of(store, key_id)
        fields = fields_of(key, options, now)
        if not fields:
            raise click.UsageError("Say what is to change; --help lists the options.")
        changed = keyring.change(store, key_id, wished(fields, KeyChange), OPERATOR, now)
        _tell(_view(store, changed, now), f"{key.id} is changed.", as_json=as_json)


@command.command(name="rotate")
@click.argument("key_id", metavar="ID")
@click.option("--overlap", default="0s", metavar="TIME", show_default=True,
              help="How long the old secret goes on working: 90s, 30m, 12h, 7d.")  # fmt: skip
@quietly
@common
def rotate(
    key_id: str, *, store_file: str | None, as_json: bool, overlap: str, quiet: bool
) -> None:
    """Give a key a new secret and print it, once."""
    now = time.time()
    seconds = read_length(overlap)
    with opened(store_file) as store:
        key, secret = keyring.rotate(store, key_of(store, key_id).id, seconds, OPERATOR, now)
        _tell_secret(_view(store, key, now), secret, as_json=as_json, quiet=quiet)


@command.command(name="expire")
@click.argument("key_id", metavar="ID")
@click.option("--at", default="now", metavar="WHEN", show_default=True,
              help="2027-01-31, 2027-01-31T18:00Z, or from now: 30d.")  # fmt: skip
@common
def expire(key_id: str, *, store_file: str | None, as_json: bool, at: str) -> None:
    """Let a key end, now or later. It never ends later by this; `change --expires` does that."""
    now = time.time()
    ends = read_moment(at, now)
    if ends is None:
        raise click.UsageError("An end that never comes is set by `keys change --expires never`.")
    with opened(store_file) as store:
        key = keyring.expire(store, key_of(store, key_id).id, ends, OPERATOR)
        said = f"{key.id} ends {shown_moment(key.expires)}."
        _tell(_view(store, key, now), said, as_json=as_json)


@command.command(name="revoke")
@click.argument("key_id", metavar="ID")
@common
def revoke(key_id: str, *, store_file: str | None, as_json: bool) -> None:
    """Take a key back, for good."""
    now = time.time()
    with opened(store_file) as store:
        key = keyring.revoke(store, key_of(store, key_id).id, OPERATOR, now)
        _tell(_view(store, key, now), f"{key.id} is revoked.", as_json=as_json)


def fields_of(key: Key, options: dict[str, Any], now: float) -> dict[str, Any]:
    """Return what the options ask for as the fields of a wish, on top of what `key` has."""
    names = ("name", "role", "owner", "team", "priority")
    fields = {name: options[name] for name in names if options[name] is not None}
    limits = {_LIMITS[name]: options[name] for name in _LIMITS if options[name] is not None}
    if limits:
        fields["limits"] = {**_plain(key.limits), **limits}
    scope = {name: options[name] for name in Scope.__struct_fields__ if options[name]}
    if scope:
        fields["scope"] = {**_plain(key.scope), **scope}
    if options["budgets"]:
        given = [text for text in options["budgets"] if text.strip().lower() != "none"]
        fields["budgets"] = [read_budget(text) for text in given]
    if options["deadline"] is not None:
        none = options["deadline"].strip().lower() == "none"
        fields["deadline_seconds"] = None if none else read_length(options["deadline"])
    if options["expires"] is not None:
        fields["expires"] = read_moment(options["expires"], now)
    return fields


def _plain(struct: Limits | Scope) -> dict[str, Any]:
    return {name: getattr(struct, name) for name in struct.__struct_fields__}


def _view(store: Store, key: Key, now: float) -> KeyView:
    return key_view(key, store.secrets(), now)


def _tell_secret(key: KeyView, secret: str, *, as_json: bool, quiet: bool) -> None:
    if as_json:
        print_json(KeyMade(key, secret), secret=secret)
        return
    click.echo(secret)
    if not quiet:
        said = f"{key.id}: the secret is shown this once; only its digest is kept."
        note(inert_line(said))


def _tell(key: KeyView, said: str, *, as_json: bool) -> None:
    if as_json:
        print_json(key)
    else:
        click.echo(said)


def _row(key: KeyView, now: float) -> tuple[str, ...]:
    live = [s.hint for s in key.secrets if s.expires is None or s.expires > now]
    return (
        key.id,
        key.name,
        key.role,
        key.owner or "",
        key.team or "",
        key.state,
        joined(f"...{hint}" for hint in live),
        shown_moment(key.expires),
        budgets_cell(key.budgets),
    )


def _lines(key: KeyView) -> Iterator[tuple[str, str]]:
    for name in ("id", "name", "role", "owner", "team", "state"):
        yield name, getattr(key, name) or ""
    for name in ("created", "expires", "revoked"):
        yield name, shown_moment(getattr(key, name))
    for name in ("models", "providers", "endpoints"):
        yield name, joined(getattr(key.scope, name)) or "all"
    yield "limits", limits_cell(key.limits)
    yield "priority", key.priority
    yield "deadline", "" if key.deadline_seconds is None else f"{key.deadline_seconds:g} s"
    yield "budgets", budgets_cell(key.budgets)
    for secret in key.secrets:
        until = "" if secret.expires is None else f" until {shown_moment(secret.expires)}"
        yield "secret", f"...{secret.hint} since {shown_moment(secret.created)}{until}"
