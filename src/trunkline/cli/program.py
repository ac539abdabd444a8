"""The program: its commands by name, loaded when they are used, and how it ends.

What is imported here is paid for by `trunkline --help`; keep it to click.
"""

from __future__ import annotations

import importlib
import io
import os
import sys
import traceback
from typing import TYPE_CHECKING, NamedTuple

import click

from trunkline._version import __version__

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

DEBUG = "TRUNKLINE_DEBUG"
INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


class Row(NamedTuple):
    """A command: the module whose `command` it is, and what the list says of it."""

    module: str
    summary: str


COMMANDS = {
    "chat": Row("trunkline.cli.chat", "Chat with a model, once or turn by turn."),
    "models": Row("trunkline.cli.models", "List the models that the router serves, and by whom."),
    "bench": Row("trunkline.cli.bench", "Measure a model at every provider, and compare answers."),
    "plan": Row("trunkline.cli.plan", "Show where a call would go now, and where if that fails."),
    "logs": Row("trunkline.cli.logs", "List the calls that were logged on this machine."),
    "why": Row("trunkline.cli.why", "Tell the story of one call: where it went, and why."),
    "replay": Row(
        "trunkline.cli.replay", "Show what a log's calls would have cost along another route."
    ),
    "doctor": Row("trunkline.cli.doctor", "Check that calls can work, and say what to do if not."),
    "serve": Row("trunkline.cli.serve", "Serve models to a team: keys, budgets, a ledger."),
    "config": Row("trunkline.cli.config", "Check or show the gateway's configuration."),
    "keys": Row("trunkline.cli.keys", "Make, show, rotate and revoke the gateway's keys."),
    "spend": Row("trunkline.cli.spend", "Add up what the gateway's calls cost."),
    "db": Row("trunkline.cli.db", "Migrate, check or move the gateway's store."),
    "conformance": Row(
        "trunkline.cli.conformance", "Hold a gateway, or the SDK, to every fault of a provider."
    ),
    "sandbox": Row("trunkline.cli.sandbox", "Serve an emulator of Hugging Face on this machine."),
}


class Program(click.Group):
    """A group that knows its commands by name only."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's
        """List the names."""
        return list(COMMANDS)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's
        cmd_name: str,
    ) -> click.Command | None:
        """Load a command."""
        row = COMMANDS.get(cmd_name)
        if row is None:
            return None
        command: click.Command = importlib.import_module(row.module).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command by name; an unknown one gets a suggestion."""
        name = args[0]
        if name in COMMANDS or name.startswith("-") or ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        import difflib  # slow to load and rarely needed

        near = difflib.get_close_matches(name, COMMANDS, n=1)
        meant = f" Did you mean {near[0]!r}?" if near else ""
        raise click.UsageError(f"No such command {name!r}.{meant}", ctx)

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's
        formatter: click.HelpFormatter,
    ) -> None:
        """Write the list without loading what it lists."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, row.summary) for name, row in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete a command's name without loading it."""
        from click.shell_completion import CompletionItem  # only shells ask for it

        names = [
            CompletionItem(name, help=row.summary)
            for name, row in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return names + click.Command.shell_complete(self, ctx, incomplete)


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="trunkline %(version)s")
def program() -> None:
    """One Hugging Face token, every provider: chat with models, and see what happened.

    `sandbox/demo` as a model answers without a token or a network.
    """


def main(arguments: list[str] | None = None) -> int:
    """Run the program and return its exit code; no error leaves it as a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal may lack a model's characters
    try:
        code = program.main(arguments, prog_name="trunkline", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort as error:
        return INTERRUPTED if isinstance(error.__cause__, KeyboardInterrupt) else 1
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:  # the last place where it can be said well
        return _report(error)
    return code if isinstance(code, int) else 0


def _report(error: Exception) -> int:
    if os.environ.get(DEBUG, "") not in ("", "0"):
        traceback.print_exc()
        return 1
    from trunkline.cli.report import print_error  # loads what the command has loaded already

    print_error(error)
    return 1
