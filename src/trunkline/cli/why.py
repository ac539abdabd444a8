"""`trunkline why`: the story of one call, from the local log or a gateway's ledger."""

from __future__ import annotations

import click
import msgspec

from trunkline.cli.inert import hide_secrets, inert, inert_json, inert_line
from trunkline.cli.log_file import TURN_ON, named, no_log, opened, place
from trunkline.cli.past_calls import from_ledger, from_log
from trunkline.cli.story import PastCall, story
from trunkline.store.logged import LogFilter, Logged


@click.command(name="why")
@click.argument("request_id", required=False, metavar="[ID]")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@named
@click.option("--gateway", is_flag=True, help="Look in the ledger of the configured gateway.")
@click.option("--store", "store_file", type=click.Path(dir_okay=False), metavar="FILE|URL",
              help="Look in the ledger of this store of a gateway.")  # fmt: skip
@click.option("--url", metavar="URL", help="Ask the gateway there, with TRUNKLINE_ADMIN_KEY.")
def command(
    *,
    request_id: str | None,
    as_json: bool,
    log_file: str | None,
    gateway: bool,
    store_file: str | None,
    url: str | None,
) -> None:
    """Tell why a call went as it did: where to, why not elsewhere, how long, what it cost.

    ID is what you have: the call_... of a receipt or an error, a provider's request id, a job, or the
    id that a gateway gave. Without one it is the last call. The local log is looked in, then the
    store of a gateway that is configured here; or what is named.
    """
    ledger = gateway or store_file is not None
    if sum((log_file is not None, ledger, url is not None)) > 1:
        raise click.UsageError("Give one of --log, --url, and --gateway or --store.")
    if ledger or url is not None:
        call = _in_ledger(store_file, url, request_id)
    else:
        call = _in_log(log_file, request_id)
    if as_json:
        told = msgspec.json.encode({**msgspec.structs.asdict(call), "story": story(call)})
        click.echo(hide_secrets(inert_json(msgspec.json.format(told, indent=2).decode())))
        return
    for line in story(call):
        click.echo(hide_secrets(_inert(line)))


def _in_log(given: str | None, wanted: str | None) -> PastCall:
    path = place(given)
    logged = _logged(given, wanted) if path.exists() else None
    if logged is not None:
        return from_log(logged)
    if given is None and wanted is not None:
        from trunkline.cli.ledger_calls import (
            in_configured_file,
        )  # loads the gateway's configuration

        entry = in_configured_file(wanted)
        if entry is not None:
            return from_ledger(entry)
    if not path.exists():
        raise no_log(path)
    if wanted is None:
        raise click.ClickException(f"No call is in the log {inert_line(str(path))} yet. {TURN_ON}")
    raise click.ClickException(
        f"The log {inert_line(str(path))} has no call {inert_line(wanted)!r}. A gateway's calls are in "
        "its ledger: --gateway, --store or --url. `trunkline logs` lists those that are here."
    )


def _logged(given: str | None, wanted: str | None) -> Logged | None:
    with opened(given) as log:
        if wanted is not None:
            return log.find(wanted)
        last = log.calls(LogFilter(), 1)
        return log.find(last[0].id) if last else None


def _in_ledger(store: str | None, url: str | None, wanted: str | None) -> PastCall:
    from trunkline.cli.ledger_calls import NEWEST, in_store, of_gateway  # as above

    entry = in_store(store, wanted) if url is None else of_gateway(url, wanted)
    if entry is not None:
        return from_ledger(entry)
    if wanted is None:
        raise click.ClickException("No call is in the ledger yet.")
    raise click.ClickException(
        f"The ledger has no call {inert_line(wanted)!r}, and none of its {NEWEST} newest has that id from "
        "its upstream or its client. A call that the journal still has comes within a second."
    )


def _inert(line: str) -> str:
    """Return a line that is fit to print, with the spaces that it has."""
    return " ".join(inert(line).splitlines())
