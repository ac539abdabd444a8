"""`trunkline sandbox`: the emulator of Hugging Face's services on a port of this machine."""

from __future__ import annotations

import asyncio
import errno
import signal

import click

from trunkline.errors import ConfigurationError
from trunkline.sandbox import Sandbox, SandboxServer


@click.command(name="sandbox")
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Loopback only: it asks for no password."
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8377,
    show_default=True,
    help="0 takes a free one.",
)
@click.option(
    "--seed",
    type=int,
    default=0,
    show_default=True,
    metavar="N",
    help="Another seed, other answers.",
)
@click.option(
    "--pace",
    type=click.FloatRange(min=0, min_open=True),
    metavar="TOKENS_PER_S",
    help="Stream that many tokens a second; as fast as it goes unless given.",
)
@click.option(
    "--at",
    multiple=True,
    metavar="PROVIDER=FAULT",
    help="Give a provider a fault of docs/sandbox.md: novita=drift-words, 'groq=slow;seconds=2'. "
    "Repeatable.",
)
@click.option("--env", "only_env", is_flag=True, help="Print shell lines for this port, and exit.")
def command(
    *, host: str, port: int, seed: int, pace: float | None, at: tuple[str, ...], only_env: bool
) -> None:
    """Serve an emulator of Hugging Face's router and Hub until Ctrl-C.

    Nothing leaves this machine, and answers say that they are simulated. In another shell:

    \b
        eval "$(trunkline sandbox --env)"
        trunkline chat meta-llama/Llama-3.3-70B-Instruct hello
    """  # noqa: D301 - click reads the backspace: what follows keeps its lines
    server = SandboxServer(_sandbox(seed, pace, at), host=host, port=port)
    if only_env:
        if port == 0:
            raise click.UsageError("--env needs the port that the sandbox has; 0 names none.")
        click.echo(shell_lines(server))
        return
    try:
        asyncio.run(_serve(server))
    except KeyboardInterrupt:
        pass  # the way to stop it
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise ConfigurationError(
            f"Port {port} on {host} is taken: is a sandbox running already? "
            "--port chooses another, and 0 a free one."
        ) from error
    click.echo("Stopped.")


def _sandbox(seed: int, pace: float | None, at: tuple[str, ...]) -> Sandbox:
    pairs = [row.partition("=") for row in at]
    wrong = next(
        (row for row, (name, _, told) in zip(at, pairs, strict=True) if not (name and told)), None
    )
    if wrong is not None:
        raise click.UsageError(f"--at takes PROVIDER=FAULT; {wrong!r} is none.")
    try:
        return Sandbox(seed=seed, pace=pace, at={name: told for name, _, told in pairs})
    except ValueError as error:
        raise click.UsageError(f"--at: {error}") from error


def shell_lines(server: SandboxServer) -> str:
    """Return lines for a shell that send every client there; the comment is last for `eval`."""
    lines = [f"export {name}={value}" for name, value in server.environment.items()]
    lines.append("# no token is needed there; where a client wants one, hf_sandbox will do")
    return "\n".join(lines)


async def _serve(server: SandboxServer) -> None:
    await server.start()
    try:
        click.echo(_welcome(server))
        await _stopped()
    finally:
        await server.stop()


async def _stopped() -> None:
    """Wait until the process is asked to end."""
    stopped = asyncio.Event()
    try:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    except NotImplementedError:
        pass  # Windows has no such signal; Ctrl-C works
    await stopped.wait()


def _welcome(server: SandboxServer) -> str:
    return (
        f"The sandbox serves on {server.url} (Ctrl-C stops it).\n\n"
        "Point every client at it, in another shell:\n"
        + "".join(f"    {line}\n" for line in shell_lines(server).splitlines())
        + "\nThen, for instance:\n"
        "    trunkline chat meta-llama/Llama-3.3-70B-Instruct hello\n"
        "    trunkline chat sandbox-org/fault-truncated hello\n"
        f"    OpenAI's client: base_url={server.url}/v1, api_key=hf_sandbox"
    )
