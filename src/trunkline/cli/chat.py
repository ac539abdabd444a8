"""`trunkline chat`: its options, and which of its ways a call goes: once, as JSON, or in turns."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import click
import msgspec

from trunkline import model_id
from trunkline.cli.answer import Asking, ask, fetch
from trunkline.cli.conversation import Conversation
from trunkline.cli.inert import inert_json
from trunkline.cli.inputs import gather
from trunkline.cli.program import INTERRUPTED
from trunkline.cli.routes import HELP, ROUTE
from trunkline.client import Client
from trunkline.media import image_part
from trunkline.types import Completion

if TYPE_CHECKING:
    from trunkline.routing.policy import Policy

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh")


class Options(TypedDict):
    """What the command line gave."""

    file: tuple[str, ...]
    image: tuple[str, ...]
    system: str | None
    as_json: bool
    stream: bool
    plain: bool
    max_tokens: int | None
    temperature: float | None
    reasoning_effort: str | None
    api_base: str | None
    token: str | None
    route: Policy | None
    bill_to: str | None
    timeout: float | None
    receipt: bool | None


@click.command(name="chat")
@click.argument("model")
@click.argument("prompt", required=False)
@click.option(
    "-f",
    "--file",
    multiple=True,
    metavar="PATH",
    help="Put a text file into the prompt, or attach an image. Repeatable.",
)
@click.option("--image", multiple=True, metavar="PATH_OR_URL", help="Attach an image. Repeatable.")
@click.option("-s", "--system", metavar="TEXT", help="The system prompt.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, receipt included.")
@click.option("--stream/--no-stream", default=True, help="Show the answer while it is written.")
@click.option("--plain", is_flag=True, help="Do not format Markdown on a terminal.")
@click.option("--max-tokens", type=click.IntRange(min=1), metavar="N", help="Limit of the answer.")
@click.option("--temperature", type=float, metavar="X", help="0 is the least random.")
@click.option(
    "--reasoning-effort", type=click.Choice(EFFORTS), help="How much to reason, where a model can."
)
@click.option("--api-base", metavar="URL", help="An endpoint or OpenAI-compatible server to ask.")
@click.option(
    "--token",
    metavar="TOKEN",
    help="The token to use. Others on this machine can see it: HF_TOKEN or `hf auth login` "
    "is safer.",
)
@click.option("--route", type=ROUTE, help=HELP)
@click.option("--bill-to", metavar="ORG", help="The organisation that pays.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="How long one attempt may take.",
)
@click.option(
    "--receipt/--no-receipt",
    default=None,
    help="Say afterwards who answered, how fast, in how many tokens; by default on a terminal.",
)
def command(model: str, prompt: str | None, **options: Unpack[Options]) -> int:
    """Chat with MODEL: answer PROMPT, or take turns without one.

    MODEL is <org>/<model> (the router chooses who serves it), huggingface/<provider>/<org>/<model>,
    any name together with --api-base, or sandbox/demo, which needs no token and no network. What
    is piped in follows the prompt: cat notes.txt | trunkline chat MODEL "summarise".

    Ctrl-C stops an answer. Escape sequences in answers are not passed on to the terminal.
    """
    if options["api_base"] is None:
        model_id.parse(model)  # a model string that is none is said before the first question
    client = Client(
        options["token"],
        api_base=options["api_base"],
        bill_to=options["bill_to"],
        route=options["route"],
        timeout=options["timeout"],
    )
    with client:
        return _chat(client, _asking(model, options), prompt, options)


def _chat(client: Client, asking: Asking, prompt: str | None, options: Options) -> int:
    piped = b"" if sys.stdin is None or sys.stdin.isatty() else sys.stdin.buffer.read()
    turns = prompt is None and not piped and sys.stdin is not None and sys.stdin.isatty()
    if turns and not options["file"]:
        return _take_turns(client, asking, options)
    asked = gather(prompt, piped, options["file"], options["image"])
    messages = Conversation(options["system"]).messages(asked)
    if options["as_json"]:
        click.echo(as_json(fetch(client, asking, messages)))
        return 0
    return INTERRUPTED if ask(client, asking, messages).interrupted else 0


def _take_turns(client: Client, asking: Asking, options: Options) -> int:
    from trunkline.cli.turns import Talk  # only conversations need it

    if options["as_json"]:
        raise click.UsageError("--json needs a PROMPT: it prints one answer.")
    conversation = Conversation(options["system"])
    conversation.images = [image_part(image) for image in options["image"]]
    Talk(client, asking, conversation).run()
    return 0


def as_json(completion: Completion) -> str:
    """Return a completion and its receipt as one JSON object."""
    receipt = completion.receipt
    whole = {**completion.model_dump(), "receipt": receipt.model_dump() if receipt else None}
    return inert_json(msgspec.json.format(msgspec.json.encode(whole), indent=2).decode())


def _asking(model: str, options: Options) -> Asking:
    given = {
        "max_tokens": options["max_tokens"],
        "temperature": options["temperature"],
        "reasoning_effort": options["reasoning_effort"],
    }
    parameters: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    wanted = options["receipt"]
    return Asking(
        model,
        parameters,
        streamed=options["stream"],
        plain=options["plain"],
        receipt=sys.stderr.isatty() if wanted is None else wanted,
    )
