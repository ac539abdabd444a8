"""`trunkline why`: the story of one call, from the local log or the gateway's ledger."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from trunkline.cli.inert import hide_secrets, inert, inert_json, inert_line
from trunkline.cli.log_file import TURN_ON, named, opened, place
from trunkline.cli.past_calls import from_ledger, from_log
from trunkline.cli.story import PastCall, story
from trunkline.store.logged import LogFilter
from trunkline.store.records import Entry
from trunkline.store.seam import Store

_NEWEST = 1000
"""Entries of a ledger that are looked through for an upstream's or a client's id."""


@click.command(name="why")
@click.argument("request_id", required=False, metavar="[ID]")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@named
@click.option("--gateway", is_flag=True, help="Look in the ledger of the configured gateway.")
@click.option("--store", "store_file", type=click.Path(dir_okay=False), metavar="FILE|URL",
              help="Look in the ledger of this store of a gateway.")  # fmt: skip
def command(
    *,
    request_id: str | None,
    as_json: bool,
    log_file: str | None,
    gateway: bool,
    store_file: str | None,
) -> None:
    """Tell why a call went as it did: where to, why not elsewhere, how long, what it cost.

    ID is what you have: the call_... of a receipt or an error, a provider's request id, a job, or the
    id that a gateway gave. Without one it is the last call. The local log is looked in, or with
    --gateway or --store a gateway's ledger.
    """
    if log_file is not None and (gateway or store_file is not None):
        raise click.UsageError("Give --log, or --gateway or --store: a call is in one of them.")
    if gateway or store_file is not None:
        call = _in_ledger(store_file, request_id)
    else:
        call = _in_log(log_file, request_id)
    if as_json:
        told = msgspec.json.encode({**msgspec.structs.asdict(call), "story": story(call)})
        click.echo(hide_secrets(inert_json(msgspec.json.format(told, indent=2).decode())))
        return
    for line in story(call):
        click.echo(hide_secrets(_inert(line)))


def _in_log(given: str | None, wanted: str | None) -> PastCall:
    path: Path = place(given)
    with opened(given) as log:
        if wanted is None:
            last = log.calls(LogFilter(), 1)
            wanted = last[0].id if last else ""
        found = log.find(wanted)
    if found is not None:
        return from_log(found)
    if not wanted:
        raise click.ClickException(f"No call is in the log {inert_line(str(path))} yet. {TURN_ON}")
    raise click.ClickException(
        f"The log {inert_line(str(path))} has no call {inert_line(wanted)!r}. A gateway's calls are in "
        "its ledger: --gateway or --store. `trunkline logs` lists those that are here."
    )


def _in_ledger(given: str | None, wanted: str | None) -> PastCall:
    from trunkline.cli.key_store import opened as opened_store  # loads the gateway's configuration

    with opened_store(given) as store:
        entry = store.entry(wanted) if wanted else None
        entry = entry or next(iter(_newest(store, wanted)), None)
    if entry is None:
        if wanted is None:
            raise click.ClickException("No call is in the ledger yet.")
        raise click.ClickException(
            f"The ledger has no call {inert_line(wanted)!r}, and none of its {_NEWEST} newest has that "
            "id from its upstream or its client. A call that the journal still has comes within a "
            "second."
        )
    return from_ledger(entry)


def _newest(store: Store, wanted: str | None) -> list[Entry]:
    """Return the newest entry, or those of the newest that somebody else gave an id."""
    if wanted is None:
        return store.entries(limit=1)
    entries = store.entries(limit=_NEWEST)
    return [entry for entry in entries if wanted in (entry.upstream_id, entry.client_request_id)]


def _inert(line: str) -> str:
    """Return a line that is fit to print, with the spaces that it has."""
    return " ".join(inert(line).splitlines())
