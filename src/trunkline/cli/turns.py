"""The prompt of `trunkline chat` without a PROMPT: lines in, answers out, and a few commands."""

from __future__ import annotations

import contextlib
import difflib
import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import click

from trunkline.cli.answer import Answer, Asking, ask
from trunkline.cli.conversation import Conversation
from trunkline.cli.report import note, print_error
from trunkline.client import Client
from trunkline.errors import StreamTruncated, TrunklineError
from trunkline.media import image_part

PROMPT = "> "
QUOTES = '"""'
_HELP = """\
/system [TEXT]  set the system prompt, or show it
/image PATH     attach an image (a path or URL) to the next message
/clear          forget what was said; the system prompt stays
/save FILE      write the conversation, as Markdown or, to a .json file, as messages
/quit           leave, as Ctrl-D does
Ctrl-C stops an answer. Lines between \"\"\" and \"\"\" are one message; // begins one with /."""


class Talk:
    """A conversation at the terminal."""

    def __init__(self, client: Client, asking: Asking, conversation: Conversation) -> None:
        """Nothing is asked yet."""
        self._client = client
        self._asking = asking
        self._conversation = conversation
        self._saved: set[Path] = set()
        self._commands: dict[str, Callable[[str], object]] = {
            "help": lambda _: note(_HELP),
            "clear": self._clear,
            "system": self._system,
            "image": self._image,
            "save": self._save,
        }

    def run(self) -> None:
        """Take turns until the user leaves."""
        with contextlib.suppress(ImportError):
            importlib.import_module("readline")  # gives input() editing and history, where it is
        note(f"Chatting with {self._asking.model}. /help lists commands, Ctrl-D leaves.")
        while True:
            try:
                self._take_turns()
                return
            except KeyboardInterrupt:  # wherever it struck, the conversation stays open
                click.echo()

    def _take_turns(self) -> None:
        while (line := self._read()) is not None:
            if line in ("/quit", "/exit", "/q"):
                return
            try:
                self._take(line)
            except (TrunklineError, OSError) as error:
                print_error(error)

    def _take(self, line: str) -> None:
        if line.startswith("/") and not line.startswith("//"):
            self._obey(line)
        elif line.strip():
            self._say(line.removeprefix("/") if line.startswith("//") else line)

    def _read(self) -> str | None:
        """Return the user's next line, or several between quotes; None at the end of input."""
        try:
            line = _input()
            if line.startswith(QUOTES):
                return _until_quotes(line.removeprefix(QUOTES))
        except KeyboardInterrupt:
            click.echo()
            return ""
        except EOFError:
            click.echo()
            return None
        return line.rstrip()

    def _say(self, text: str) -> None:
        conversation = self._conversation
        asked = conversation.message(text)
        try:
            answer = ask(self._client, self._asking, conversation.messages(asked))
        except StreamTruncated as error:
            print_error(error)
            answer = Answer(error.partial, interrupted=True)
        if not conversation.keep(asked, answer):
            note("Your message is not kept either: it has no answer.")

    def _obey(self, line: str) -> None:
        name, _, argument = line[1:].partition(" ")
        found = self._commands.get(name)
        if found is not None:
            found(argument.strip())
            return
        near = difflib.get_close_matches(name, [*self._commands, "quit"], n=1)
        meant = f"did you mean /{near[0]}?" if near else "/help lists them."
        note(f"No such command /{name}; {meant}")

    def _clear(self, _: str) -> None:
        self._conversation.clear()
        note("Forgotten.")

    def _system(self, text: str) -> None:
        if text:
            self._conversation.system = text
        note(f"System prompt: {self._conversation.system or 'none'}")

    def _image(self, source: str) -> None:
        # terminals paste a dropped file's path with quotes or escaped spaces
        path = source.strip("'\"").replace("\\ ", " ")
        home = path.startswith("~")
        self._conversation.images.append(image_part(Path(path).expanduser() if home else path))
        note("The image goes along with your next message.")

    def _save(self, name: str) -> None:
        if not name:
            note("Give a file: /save chat.md")
            return
        path = Path(name).expanduser()
        conversation, model = self._conversation, self._asking.model
        as_json = path.suffix == ".json"
        text = conversation.as_json(model) if as_json else conversation.as_markdown(model)
        with path.open("w" if path in self._saved else "x", encoding="utf-8") as file:
            file.write(text)
        self._saved.add(path)
        note(f"Saved to {path}.")


def _input() -> str:
    if sys.stdout.isatty():
        return input(PROMPT)
    click.echo(PROMPT, nl=False, err=True)  # the answers are going elsewhere
    return input()


def _until_quotes(text: str) -> str:
    while not text.rstrip().endswith(QUOTES):
        text += "\n" + input()
    return text.rstrip().removesuffix(QUOTES)
