"""`trunkline keys budget`: what all keys of an owner or a team may spend, and how much at a time."""

from __future__ import annotations

from collections.abc import Iterable

import click

from trunkline.cli.given import read_budget
from trunkline.cli.inert import inert_line
from trunkline.cli.key_store import common, joined, opened, print_json, wished
from trunkline.cli.report import note
from trunkline.cli.rows import print_rows
from trunkline.gateway.admin.views import AccountView, BudgetView, LimitsView, account_view
from trunkline.gateway.wishes import AccountWish, read_account
from trunkline.store.records import AccountKind

KINDS = click.Choice(["owner", "team"])
COLUMNS = ("kind", "name", "budgets", "limits")


@click.group(name="budget")
def budget() -> None:
    """Show and set the budgets and limits that all keys of an owner or a team share."""


@budget.command(name="list")
@common
def list_budgets(*, store_file: str | None, as_json: bool) -> None:
    """List owners and teams that have budgets or limits."""
    with opened(store_file) as store:
        accounts = sorted(store.accounts(), key=lambda account: (account.kind, account.name))
    views = [account_view(account) for account in accounts]
    if as_json:
        print_json(views)
    elif views:
        print_rows(COLUMNS, [_row(view) for view in views])
    else:
        note("No owner and no team has a budget or a limit.")


@budget.command(name="set")
@click.argument("kind", type=KINDS)
@click.argument("name")
@click.option("--budget", "budgets", multiple=True, metavar="USD/PERIOD",
              help="Most to be spent: 50/month, 2.50/day. May be repeated.")  # fmt: skip
@click.option("--rpm", type=int, metavar="N", help="Requests a minute.")
@click.option("--tpm", type=int, metavar="N", help="Tokens a minute.")
@click.option("--concurrency", type=int, metavar="N", help="Calls at the same time.")
@common
def set_budget(
    kind: AccountKind,
    name: str,
    *,
    store_file: str | None,
    as_json: bool,
    budgets: tuple[str, ...],
    rpm: int | None,
    tpm: int | None,
    concurrency: int | None,
) -> None:
    """Set budgets and limits, in place of all that were set before."""
    limits = {"requests_per_minute": rpm, "tokens_per_minute": tpm, "concurrency": concurrency}
    if not budgets and not any(limits.values()):
        raise click.UsageError("Give a --budget or a limit; `keys budget remove` takes all away.")
    fields = {"budgets": [read_budget(text) for text in budgets], "limits": limits}
    account = read_account(kind, name, wished(fields, AccountWish))
    with opened(store_file, make=True) as store:
        store.put_account(account)
    if as_json:
        print_json(account_view(account))
    else:
        click.echo(inert_line(": ".join(cell for cell in _row(account_view(account))[1:] if cell)))


@budget.command(name="remove")
@click.argument("kind", type=KINDS)
@click.argument("name")
@common
def remove(kind: AccountKind, name: str, *, store_file: str | None, as_json: bool) -> None:
    """Take all budgets and limits of an owner or a team away."""
    with opened(store_file) as store:
        names = [account.name for account in store.accounts() if account.kind == kind]
        found = store.drop_account(kind, name)
    if not found:
        import difflib  # slow to load and rarely needed

        near = difflib.get_close_matches(name, names, n=1)
        meant = f" Did you mean {near[0]!r}?" if near else ""
        raise click.ClickException(
            inert_line(f"The {kind} {name!r} has no budgets and no limits.{meant}")
        )
    if as_json:
        print_json({"kind": kind, "name": name, "removed": True})
    else:
        click.echo(inert_line(f"The {kind} {name!r} has no budgets and no limits any more."))


def budgets_cell(budgets: Iterable[BudgetView]) -> str:
    """Return budgets for people."""
    return joined(f"${budget.amount}/{budget.period}" for budget in budgets)


def limits_cell(limits: LimitsView) -> str:
    """Return limits for people."""
    said = (
        (limits.requests_per_minute, "requests/min"),
        (limits.tokens_per_minute, "tokens/min"),
        (limits.concurrency, "at a time"),
    )
    return joined(f"{number} {what}" for number, what in said if number is not None)


def _row(account: AccountView) -> tuple[str, ...]:
    budgets = budgets_cell(account.budgets)
    return account.kind, account.name, budgets, limits_cell(account.limits)
