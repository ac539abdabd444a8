"""`trunkline replay`: a log's calls along another route, or at other prices; no call is made."""

from __future__ import annotations

import sys
import time
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import click
import msgspec

from trunkline.cli.given import read_length, read_moment
from trunkline.cli.inert import inert_json, inert_line
from trunkline.cli.key_store import opened as opened_store
from trunkline.cli.log_file import named
from trunkline.cli.log_file import opened as opened_log
from trunkline.cli.report import note
from trunkline.cli.route_options import read_route, route_options
from trunkline.cli.rows import ABSENT, print_rows
from trunkline.client import Client
from trunkline.errors import InvalidInputError
from trunkline.hindsight.observed import Observed
from trunkline.hindsight.past import Past, from_ledger, from_log
from trunkline.hindsight.redo import PriceList, Wish, read_prices, redo
from trunkline.hindsight.totals import About, Hindsight, Range, added
from trunkline.routing.policy import Policy, read_policy
from trunkline.store.logged import LogFilter
from trunkline.store.records import Entry

_ENCODER = msgspec.json.Encoder(decimal_format="number")
_MOST = 100_000
_PAGE = 1_000
_DAY = 86_400.0
_FIGURES = (
    ("failed", "failed", 0),
    ("cost, $", "cost", 6),
    ("first token p50, s", "first_token_p50", 2),
    ("first token p99, s", "first_token_p99", 2),
    ("whole call p50, s", "seconds_p50", 2),
    ("whole call p99, s", "seconds_p99", 2),
    ("attempts a call", "attempts", 3),
)


@click.command(name="replay")
@route_options
@click.option("--policy", metavar="WORD|A,B|JSON", help="The same as --route.")
@click.option("--prices", type=click.Path(exists=True, dir_okay=False), metavar="FILE",
              help="A list of prices, TOML or JSON, in place of the catalog's.")  # fmt: skip
@click.option("--since", default="1d", show_default=True, metavar="WHEN",
              help="2h, 7d, a day, or a time (UTC).")  # fmt: skip
@click.option("--until", metavar="WHEN", help="The same; now unless given.")
@click.option("--seed", type=int, default=1, show_default=True, help="What chance is drawn from.")
@click.option("--draws", type=click.IntRange(1, 100), default=5, show_default=True,
              help="How often, for the ranges.")  # fmt: skip
@click.option("--seen-only", is_flag=True, help="Leave out places that the log saw nothing of.")
@click.option("--offline", is_flag=True, help="Ask nobody for the catalog: as kept, or shipped.")
@named
@click.option("--gateway", is_flag=True, help="Calls of the configured gateway's ledger.")
@click.option("--store", "store_file", metavar="FILE|URL", help="Calls of the ledger there.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object; unknown is null.")
def command(
    *,
    policy: str | None,
    prices: str | None,
    since: str,
    until: str | None,
    seed: int,
    draws: int,
    seen_only: bool,
    offline: bool,
    log_file: str | None,
    gateway: bool,
    store_file: str | None,
    as_json: bool,
    **route: Any,
) -> int:
    """Show what a log's calls would have cost and taken along another route, or at other prices.

    The calls are those that this machine's programs logged (trunkline logs), or a gateway's. No
    call is made: where a call would have gone elsewhere it is given what others got there, in the
    same hour where the log has enough of them. Of places that the log saw nothing of nothing is said.
    """
    if policy is not None and route.get("route") is not None:
        raise click.UsageError("Give --policy or --route, not both: they are the same.")
    fields = read_route({**route, "route": policy or route.get("route")})
    if not fields and prices is None:
        raise click.UsageError("Give --policy, or --prices FILE, or both.")
    wished = read_policy(fields) if fields else None
    listed = _price_list(prices)
    now = time.time()
    start, end = _moment(since, now), now if until is None else _moment(until, now)
    ledger = gateway or store_file is not None
    rows = _of_ledger(store_file, start, end) if ledger else _of_log(log_file, start, end)
    asked = _Asked(wished, listed, seed, draws, seen_only, offline)
    found = _hindsight(list(rows), asked)
    told = msgspec.structs.replace(found, since=_shown(start), until=_shown(end))
    if prices is not None:
        told = msgspec.structs.replace(told, prices=f"the file {prices}, else {told.prices}")
    if as_json:
        click.echo(inert_json(msgspec.json.format(_ENCODER.encode(told), indent=2).decode()))
    else:
        _print(told)
    return 0 if told.compared else 1


class _Asked(NamedTuple):
    """What is wished of a log's calls."""

    policy: Policy | None
    prices: PriceList
    seed: int
    draws: int
    seen_only: bool
    offline: bool


def _hindsight(rows: list[Past | str], asked: _Asked) -> Hindsight:
    calls = [one for one in rows if isinstance(one, Past)]
    left_out = Counter(one for one in rows if isinstance(one, str))
    with Client() as client:
        catalog = client.catalog(offline=asked.offline)
    observed = Observed(calls)
    wish = Wish(calls, asked.policy, catalog, asked.prices, asked.seen_only)
    times = asked.draws if asked.policy is not None else 1  # without a route nothing is drawn
    made = [redo(wish, observed, asked.seed + number) for number in range(times)]
    about = About(
        policy=None if asked.policy is None else asked.policy.title,
        prices=f"{catalog.source}, as of {catalog.as_of:%Y-%m-%d %H:%M} UTC",
        calls=len(rows),
        left_out=dict(left_out.most_common()),
        seed=asked.seed,
        remarks=() if catalog.trouble is None else (catalog.trouble,),
    )
    return added(about, made)


def _of_log(log_file: str | None, start: float, end: float) -> Iterator[Past | str]:
    since = datetime.fromtimestamp(start, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    until = datetime.fromtimestamp(end, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    with opened_log(log_file) as log:
        found = log.with_attempts(LogFilter(since=since), _MOST)
    if len(found) == _MOST:
        note(f"Only the {_MOST} newest calls are looked at.")
    for one in reversed(found):
        if one.call.started <= until:
            yield from_log(one)


def _of_ledger(store_file: str | None, start: float, end: float) -> Iterator[Past | str]:
    for entry in reversed(list(_entries(store_file, start))):
        if start <= entry.started <= end:
            yield from_ledger(entry)


def _entries(store_file: str | None, start: float) -> Iterable[Entry]:
    """Return a ledger's newest entries, back to a time: ids of several processes are nearly in order."""
    before, count = "", 0
    with opened_store(store_file) as store:
        while count < _MOST:
            page = store.entries(before=before, limit=_PAGE)
            yield from page
            count += len(page)
            if len(page) < _PAGE or max(one.started for one in page) < start:
                return
            before = page[-1].id
    note(f"Only the {_MOST} newest calls are looked at.")


def _price_list(path: str | None) -> PriceList:
    if path is None:
        return {}
    text = Path(path).read_text(encoding="utf-8")
    try:
        rows: object = (
            msgspec.json.decode(text, type=dict[str, dict[str, dict[str, Decimal]]])
            if text.lstrip().startswith("{")
            else tomllib.loads(text, parse_float=Decimal)
        )
        return read_prices(rows)
    except (tomllib.TOMLDecodeError, msgspec.MsgspecError) as error:
        raise click.ClickException(f"{inert_line(path)} is no list of prices: {error}.") from error
    except InvalidInputError as error:
        raise click.ClickException(f"{inert_line(path)}: {inert_line(str(error))}") from error


def _moment(text: str, now: float) -> float:
    try:
        return now - read_length(text)
    except click.BadParameter:
        moment = read_moment(text, now)
    if moment is None:
        raise click.BadParameter(f"{text!r} is no time. Write 2h, 7d, 2026-11-29 or a time.")
    return moment


def _shown(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _print(told: Hindsight) -> None:
    if told.compared:
        _print_table(("", "was", "would be", "range"), list(_figures(told)))
        click.echo()
        shares = [(p.provider, p.model, str(p.was), str(p.would)) for p in told.places]
        _print_table(("answered by", "model", "was", "would be"), shares)
    others = ", ".join(f"{count} {why}" for why, count in told.left_out.items())
    note(
        inert_line(
            f"{told.calls} calls from {told.since} to {told.until}; {told.compared} compared, {told.moved} of "
            f"them answered elsewhere, the cost of {told.priced} known on both sides"
            + (f"; left out: {others}." if others else ".")
        )
    )
    for said in told.notes:
        note(inert_line(said))
    route = "as they were" if told.policy is None else told.policy
    note(
        inert_line(f"Route: {route}; seed {told.seed}, {told.draws} draws. Prices: {told.prices}.")
    )


def _figures(told: Hindsight) -> Iterator[tuple[str, ...]]:
    for name, field, digits in _FIGURES:
        was, would = getattr(told.was, field), getattr(told.would, field)
        spread = told.ranges[field] if told.draws > 1 else Range(None, None, None)
        shown = (
            ""
            if spread.least is None or spread.most is None or spread.least == spread.most
            else f"{spread.least:.{digits}f} to {spread.most:.{digits}f}"
        )
        yield name, _number(was, digits), _number(would, digits), shown


def _number(value: float | Decimal | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _print_table(columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    if not sys.stdout.isatty():
        print_rows(columns, rows)
        return
    from rich.console import Console  # only terminals have tables
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in columns:
        right = name in ("was", "would be", "range")
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    for cells in rows:
        table.add_row(*(Text(inert_line(cell) or ABSENT) for cell in cells))
    Console().print(table)
