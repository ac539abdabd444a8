"""The program as a whole: help, versions, suggestions, errors and exit codes."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys

import pytest
from terminals import PROGRAM, Open, Run

from trunkline import __version__
from trunkline.cli.program import COMMANDS, Program


def test_version_is_the_packages(run: Run) -> None:
    done = run("--version")
    assert (done.returncode, done.stdout.strip()) == (0, f"trunkline {__version__}")


def test_help_lists_every_command_in_its_own_words(run: Run) -> None:
    done = run("--help")
    assert done.returncode == 0
    for name, row in COMMANDS.items():
        assert f"{name} " in done.stdout
        assert row.summary in done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str, run: Run) -> None:
    assert importlib.import_module(COMMANDS[name].module).command.name == name
    done = run(name, "-h")
    assert done.returncode == 0
    assert done.stdout.startswith(f"Usage: trunkline {name}")


def test_help_loads_nothing_that_is_slow() -> None:
    code = (
        "import sys; from trunkline.cli import main; main(['--help']); "
        "print([m for m in ('rich', 'asyncio', 'msgspec', 'ssl', 'httptools') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(("typed", "meant"), [("chta", "chat"), ("model", "models")])
def test_an_unknown_command_gets_a_suggestion(typed: str, meant: str, run: Run) -> None:
    done = run(typed)
    assert done.returncode == 2
    assert f"No such command {typed!r}. Did you mean {meant!r}?" in done.stderr


def test_a_command_like_no_other_gets_none(run: Run) -> None:
    done = run("xyzzy")
    assert done.returncode == 2
    assert "Did you mean" not in done.stderr


def test_an_unknown_option_gets_a_suggestion(run: Run) -> None:
    done = run("chat", "sandbox/demo", "hi", "--temprature", "1")
    assert done.returncode == 2
    assert "--temperature" in done.stderr


def test_no_command_at_all_shows_the_help(run: Run) -> None:
    done = run()
    assert "Usage: trunkline" in done.stdout + done.stderr


def test_an_error_is_one_message_and_code_1(run: Run) -> None:
    done = run("chat", "meta-llama/Llama-3.3-70B-Instruct", "hi")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("Error: No Hugging Face token was found.")
    assert "hf auth login" in done.stderr


def test_a_wrong_model_string_is_refused_before_anything_else(run: Run) -> None:
    done = run("chat", "huggingface/", "hi")
    assert done.returncode == 1
    assert "is not a model string" in done.stderr


def test_a_wrong_setting_names_its_variable(run: Run, env: dict[str, str]) -> None:
    done = run("models", env={**env, "TRUNKLINE_ROUTER": "ftp://example.org"})
    assert done.returncode == 1
    assert "TRUNKLINE_ROUTER" in done.stderr


def test_debug_shows_the_traceback(env: dict[str, str]) -> None:
    done = subprocess.run(
        [PROGRAM, "chat", "org/model", "hi"],
        env={**env, "TRUNKLINE_DEBUG": "1"}, input=b"", capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert b"Traceback" in done.stderr


def test_a_reader_that_leaves_early_is_no_error(routed: dict[str, str]) -> None:
    theirs, ours = os.pipe()
    os.close(theirs)
    with os.fdopen(ours, "wb") as gone:
        done = subprocess.run(
            [PROGRAM, "models"], env=routed, stdin=subprocess.DEVNULL, stdout=gone,
            stderr=subprocess.PIPE, check=False,
        )  # fmt: skip
    assert b"Traceback" not in done.stderr
    assert b"Exception" not in done.stderr


def test_commands_and_options_complete_in_a_shell(run: Run, env: dict[str, str]) -> None:
    def completed(words: str, at: int) -> str:
        told = {"COMP_WORDS": words, "COMP_CWORD": str(at), "_TRUNKLINE_COMPLETE": "bash_complete"}
        return run(env={**env, **told}).stdout

    assert completed("trunkline mo", 1).split() == ["plain,models"]
    assert "--temperature" in completed("trunkline chat --temp", 2)


def test_unknown_commands_are_not_loaded() -> None:
    import click

    assert Program().get_command(click.Context(Program()), "os") is None


def test_no_color_is_kept_to(terminal: Open, env: dict[str, str]) -> None:
    shown = terminal("chat", "org/model", "hi", env={**env, "NO_COLOR": "1"})
    shown.expect("No Hugging Face token was found.")
    shown.end()
    assert b"\x1b[31m" not in shown.raw
