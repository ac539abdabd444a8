"""`trunkline chat` from the outside: answers, inputs, JSON, and Ctrl-C at a terminal."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from terminals import PATIENCE, Open, Run

from trunkline.sandbox import SandboxServer

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
LLAMA = "meta-llama/Llama-3.3-70B-Instruct"
SECRET = "hf_secret_of_the_test"


def test_an_answer_is_plain_text_where_there_is_no_terminal(run: Run) -> None:
    done = run("chat", "sandbox/demo", "hello **you**")
    assert done.returncode == 0
    assert done.stdout.startswith('[simulated] You said: "hello **you**"')
    assert done.stdout.endswith(".\n")
    assert "\x1b" not in done.stdout
    assert done.stderr == ""


def test_without_streaming_the_answer_is_the_same(run: Run) -> None:
    said = run("chat", "sandbox/demo", "hello").stdout
    assert run("chat", "sandbox/demo", "hello", "--no-stream").stdout == said


def test_what_is_piped_in_follows_the_prompt(run: Run) -> None:
    done = run("chat", "sandbox/demo", "summarise", stdin="the piped text\n")
    assert 'You said: "summarise the piped text"' in done.stdout


def test_what_is_piped_in_can_be_the_whole_prompt(run: Run) -> None:
    assert 'You said: "just this"' in run("chat", "sandbox/demo", stdin="just this").stdout


def test_nothing_to_say_is_an_error(run: Run) -> None:
    done = run("chat", "sandbox/demo")
    assert done.returncode == 1
    assert "nothing to say" in done.stderr


def test_files_and_images_go_along(run: Run, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("milk")
    (tmp_path / "cat.png").write_bytes(PNG)
    done = run(
        "chat", "sandbox/demo", "what is this", "-f", "notes.txt", "-f", "cat.png",
        "--image", "https://example.org/dog.png",
    )  # fmt: skip
    assert '<file name="notes.txt"> milk </file> what is this' in done.stdout
    assert "2 images: one from example.org; image/png of 28 bytes" in done.stdout


def test_a_missing_image_is_said_before_anything_is_sent(run: Run) -> None:
    done = run("chat", "sandbox/demo", "see", "--image", "none.png")
    assert done.returncode == 1
    assert "'none.png' cannot be read: there is no such file" in done.stderr


def test_reasoning_goes_to_stderr(run: Run) -> None:
    done = run("chat", "sandbox/demo", "hi", "--reasoning-effort", "low")
    assert "I consider what was said" in done.stderr
    assert "I consider what was said" not in done.stdout


@pytest.mark.parametrize("how", ["--stream", "--no-stream"])
def test_json_is_one_object_with_its_receipt(how: str, run: Run) -> None:
    done = run("chat", "sandbox/demo", "hi", "--json", how)
    answer = json.loads(done.stdout)
    assert answer["choices"][0]["message"]["content"].startswith("[simulated]")
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert answer["usage"]["prompt_tokens"] == answer["receipt"]["tokens"]["input"]
    assert answer["receipt"]["attempts"][0]["status"] == 200
    assert (answer["receipt"]["time_to_first_token"] is None) == (how == "--no-stream")


def test_a_receipt_is_printed_when_asked_for(run: Run) -> None:
    done = run("chat", "sandbox/demo", "hi", "--receipt")
    assert "sandbox · first token " in done.stderr
    assert " in + " in done.stderr


def test_an_answer_that_was_cut_off_says_so(run: Run) -> None:
    done = run("chat", "sandbox/demo", "hi", "--max-tokens", "3")
    assert len(done.stdout.split()) < 4
    assert "cut off at its limit" in done.stderr


def test_options_reach_the_wire(run: Run, routed: dict[str, str], server: SandboxServer) -> None:
    done = run(
        "chat", LLAMA, "hi", "--system", "be brief", "--temperature", "0.5", "--max-tokens", "50",
        "--bill-to", "sandbox-org", env=routed,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    seen = server.requests[-1]
    assert seen.headers["x-hf-bill-to"] == "sandbox-org"
    assert seen.json["messages"][0] == {"role": "system", "content": "be brief"}
    assert (seen.json["temperature"], seen.json["max_tokens"]) == (0.5, 50)


def test_a_server_of_ones_own_gets_no_token_that_was_lying_about(
    run: Run, routed: dict[str, str], server: SandboxServer
) -> None:
    done = run("chat", LLAMA, "hi", "--api-base", server.url, env=routed)
    assert done.returncode == 1
    assert "authorization" not in server.requests[-1].headers
    given = run("chat", LLAMA, "hi", "--api-base", server.url, "--token", "hf_given_here")
    assert given.returncode == 0
    assert server.requests[-1].headers["authorization"] == "Bearer hf_given_here"


@pytest.mark.parametrize(
    ("token", "why", "hint"),
    [
        ("hf_invalid_token_1234", "status 401", "trunkline doctor"),
        ("hf_nocredits_token_1234", "status 402", "billing"),
        ("hf_nopermission_token_1234", "status 403", "Make calls to Inference Providers"),
    ],
)
def test_a_refused_token_is_explained_and_not_shown(
    token: str, why: str, hint: str, run: Run, routed: dict[str, str]
) -> None:
    for done in (
        run("chat", LLAMA, "hi", env={**routed, "HF_TOKEN": token}),
        run("chat", LLAMA, "hi", "--token", token, env=routed),
    ):
        assert done.returncode == 1
        assert why in done.stderr
        assert hint in done.stderr
        assert token not in done.stderr + done.stdout


def test_a_stream_that_is_cut_shows_what_came_and_fails(run: Run) -> None:
    done = run("chat", "sandbox/fault-truncated", "hello")
    assert done.returncode == 1
    assert done.stdout.startswith("[simulated]")
    assert done.stderr.startswith("Error: ")


def test_escape_sequences_of_a_model_are_not_passed_on(run: Run) -> None:
    nasty = "say \x1b[31mred\x1b[0m \x1b]0;title\x07now\u202e"
    done = run("chat", "sandbox/demo", stdin=nasty)
    assert 'You said: "say red now"' in done.stdout
    as_json = run("chat", "sandbox/demo", "--json", stdin=nasty)
    assert "\x1b" not in as_json.stdout
    assert "\u202e" not in as_json.stdout
    assert "\x1b[31mred" in json.loads(as_json.stdout)["choices"][0]["message"]["content"]


def test_json_in_turns_is_a_wrong_use(terminal: Open) -> None:
    shown = terminal("chat", "sandbox/demo", "--json")
    shown.expect("--json needs a PROMPT")
    assert shown.end() == 2


# at a terminal


def test_a_terminal_gets_formatted_text_and_a_footer(terminal: Open) -> None:
    shown = terminal("chat", "sandbox/demo", "this is **bold**")
    shown.expect("sandbox · first token ")
    assert shown.end() == 0
    assert 'You said: "this is bold"' in shown.text
    assert b"\x1b[1mbold" in shown.raw


def test_plain_leaves_markdown_as_it_is(terminal: Open) -> None:
    shown = terminal("chat", "sandbox/demo", "this is **bold**", "--plain", "--no-receipt")
    shown.expect('You said: "this is **bold**"')
    assert shown.end() == 0
    assert "first token" not in shown.text


def test_turns_remember_and_obey(
    terminal: Open, routed: dict[str, str], server: SandboxServer, tmp_path: Path
) -> None:
    (tmp_path / "a cat.png").write_bytes(PNG)
    shown = terminal("chat", LLAMA, "--system", "be brief", env=routed)
    shown.expect("> ")
    shown.send("first words\n")
    shown.expect('You said: "first words"')
    shown.expect("\n> ")
    shown.send(f"/image '{tmp_path}/a cat.png'\n")
    shown.expect("goes along with your next message")
    shown.expect("\n> ")
    shown.send("second words\n")
    shown.expect('You said: "second words"')
    shown.expect("\n> ")
    sent = server.requests[-1].json["messages"]
    assert [message["role"] for message in sent] == ["system", "user", "assistant", "user"]
    assert sent[1]["content"] == "first words"
    assert [part["type"] for part in sent[3]["content"]] == ["text", "image_url"]
    shown.send("/clear\n")
    shown.expect("Forgotten.")
    shown.send("/system be kind\n")
    shown.expect("System prompt: be kind")
    shown.send('"""two\nlines"""\n')
    shown.expect('You said: "two lines"')
    shown.expect("\n> ")
    assert server.requests[-1].json["messages"] == [
        {"role": "system", "content": "be kind"},
        {"role": "user", "content": "two\nlines"},
    ]
    shown.send("/quit\n")
    assert shown.end() == 0


def test_commands_help_with_mistakes(terminal: Open, tmp_path: Path) -> None:
    there = tmp_path / "there.md"
    there.write_text("keep me")
    shown = terminal("chat", "sandbox/demo")
    shown.expect("> ")
    for typed, said in (
        ("/help", "/save FILE"),
        ("/claer", "did you mean /clear?"),
        ("/save", "Give a file"),
        (f"/save {there}", "File exists"),
        ("/image nothing.png", "there is no such file"),
        ("/system", "System prompt: none"),
        ("//slash", 'You said: "/slash"'),
    ):
        shown.send(f"{typed}\n")
        shown.expect(said)
        shown.expect("\n> ")
    shown.send("\x04")
    assert shown.end() == 0
    assert there.read_text() == "keep me"


def test_ctrl_c_stops_the_answer_and_not_the_conversation(
    terminal: Open, routed: dict[str, str], server: SandboxServer, tmp_path: Path
) -> None:
    saved = tmp_path / "chat.json"
    shown = terminal("chat", "sandbox-org/fault-endless", env=routed)
    shown.expect("> ")
    shown.send("go on for ever\n")
    shown.expect("[simulated] You said:")
    pressed = time.monotonic()
    shown.interrupt_until("[interrupted]")
    shown.expect("\n> ")
    assert _hung_up(server) - pressed < 5
    shown.send(f"/save {saved}\n")
    shown.expect("Saved to")
    shown.send(f"/save {saved}\n")  # its own file may be written again
    shown.expect("Saved to")
    shown.expect("\n> ")
    shown.interrupt_until("\n> ")  # a line that was begun
    shown.send("/quit\n")
    assert shown.end() == 0
    messages = json.loads(saved.read_text())["messages"]
    assert messages[0] == {"role": "user", "content": "go on for ever"}
    assert messages[1]["content"].startswith("[simulated] You said:")
    assert messages[1]["content"].endswith("\n\n[interrupted]")


def test_ctrl_c_before_the_first_word_drops_the_message(
    terminal: Open, routed: dict[str, str], server: SandboxServer
) -> None:
    shown = terminal("chat", "sandbox-org/fault-stall-first", env=routed)
    shown.expect("> ")
    shown.send("hello\n")
    until = time.monotonic() + PATIENCE
    while not len(server.requests):
        assert time.monotonic() < until, "nothing was asked"
        time.sleep(0.01)
    shown.interrupt_until("\n> ")
    shown.send("/quit\n")
    assert shown.end() == 0


def test_ctrl_c_in_a_single_answer_ends_with_130(
    terminal: Open, routed: dict[str, str], server: SandboxServer
) -> None:
    shown = terminal("chat", "sandbox-org/fault-endless", "go on for ever", env=routed)
    shown.expect("[simulated] You said:")
    shown.interrupt()
    shown.expect("[interrupted]")
    assert shown.end() == 130
    assert _hung_up(server)


def test_an_error_in_a_conversation_leaves_it_open(terminal: Open) -> None:
    shown = terminal("chat", "sandbox/fault-401")
    shown.expect("> ")
    shown.send("hello\n")
    shown.expect("Error:")
    shown.expect("\n> ")
    shown.send("/quit\n")
    assert shown.end() == 0


def _hung_up(server: SandboxServer) -> float:
    """Wait until the sandbox notices that the client has gone; return when that was."""
    until = time.monotonic() + PATIENCE
    while (when := server.requests[-1].hung_up) is None:
        assert time.monotonic() < until, "the connection stayed open"
        time.sleep(0.01)
    return when


def test_a_route_decides_who_answers_and_the_receipt_has_it(
    run: Run, routed: dict[str, str]
) -> None:
    done = run("chat", LLAMA, "hi", "--route", "novita,groq", "--json", env=routed)
    receipt = json.loads(done.stdout)["receipt"]
    assert receipt["provider"] == "novita"
    assert [c["name"] for c in receipt["route"]["candidates"]] == ["novita", "groq"]
    told = run("chat", LLAMA, "hi", "--route", '{"order": "cheapest"}', "--json", env=routed)
    assert json.loads(told.stdout)["receipt"]["route"]["policy"] == "cheapest"


@pytest.mark.parametrize(
    ("route", "said"),
    [("fastet", "Did you mean 'fastest'"), ('{"ordre": 1}', "'order'"), ("{", "no JSON")],
)
def test_a_route_that_cannot_be_meant_is_refused(run: Run, route: str, said: str) -> None:
    done = run("chat", "sandbox/demo", "hi", "--route", route)
    assert done.returncode == 2
    assert said in " ".join(done.stderr.replace("│", " ").split())
