"""`trunkline doctor`: a list of what calls need, green or red, and what to do about the red."""

from __future__ import annotations

import sys

import click
import msgspec

from trunkline.cli.checks import Check, run_checks
from trunkline.cli.inert import hide_secrets, inert_json
from trunkline.cli.report import styled

_MARKS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "failed": ("✗", "red")}
_PLAIN_MARKS = {"ok": "ok  ", "warning": "warn", "failed": "FAIL"}


@click.command(name="doctor")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def command(*, as_json: bool) -> int:
    """Check that calls can work: token, whose it is, router and Hub, proxies, versions.

    The exit code is 1 if something that calls need is broken. No secret is printed: of a token
    only where it was found and its last four characters.
    """
    checks: list[Check] = []
    for check in run_checks():
        checks.append(check)
        if not as_json:
            click.echo(line(check))
    failed = [check.name for check in checks if check.status == "failed"]
    if as_json:
        told = msgspec.json.encode({"ok": not failed, "checks": checks})
        click.echo(hide_secrets(inert_json(msgspec.json.format(told, indent=2).decode())))
    elif failed:
        click.echo(f"\nCalls cannot work yet: {', '.join(failed)}.")
    return 1 if failed else 0


def line(check: Check) -> str:
    """Return a check as a line, and what to do about it as another."""
    mark, color = _MARKS[check.status]
    try:
        mark.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        mark = _PLAIN_MARKS[check.status]
    said = hide_secrets(f"{check.name:<10} {check.says}")
    hint = f"\n{' ' * 13}{hide_secrets(check.hint)}" if check.hint else ""
    return f"{styled(mark, fg=color)} {said}{hint}"
