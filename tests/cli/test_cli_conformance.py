"""The command that holds a gateway or the SDK to the wall of faults."""

from __future__ import annotations

import json
import random
import socket
import sys
from pathlib import Path

import pytest

from trunkline.cli import main

sys.path.insert(0, str(Path(__file__).parents[1] / "conformance"))
from bad_gateways import Answer, bad_gateway


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(["conformance", *arguments])
    out, err = capsys.readouterr()
    return code, out, err


def free_port() -> int:
    """Return a port below those that the kernel gives to clients, so that it stays free."""
    while True:
        port = random.randrange(12_000, 30_000)
        with socket.socket() as sock:
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def test_the_sdk_is_looked_at_where_no_url_is_given(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = told(capsys, "--only", "bom", "--only", "truncated", "--timeout", "60")
    assert code == 0
    assert "a byte order mark in front: the form is allowed" in " ".join(out.split())
    assert "2 faults, 6 calls" in out
    assert "2 pass, 4 safe error, 0 wrong, 0 hang." in out


def test_json_has_a_result_for_each_call(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = told(capsys, "--json", "--only", "bom", "--timeout", "60")
    body = json.loads(out)
    assert (code, body["ok"]) == (0, True)
    assert body["verdicts"] == {"pass": 2, "safe error": 0, "wrong": 0, "hang": 0}
    first = body["results"][0]
    assert (first["client"], first["fault"], first["shape"]) == ("Client", "bom", "stream")
    assert (first["verdict"], first["expected"], first["may"]) == ("pass", True, ["pass"])
    assert first["asked"] == 1


def test_a_gateway_that_is_wrong_ends_the_command_with_1_and_no_key_is_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    port = free_port()

    def behave(answer: Answer) -> Answer:
        return answer if answer.status == 200 else Answer(200, b"my-own-key-for-it and no JSON")

    with bad_gateway(port, behave) as url:
        arguments = [url, "--listen", f"127.0.0.1:{port}", "--only", "503", "--timeout", "60"]
        code, out, err = told(capsys, *arguments, "--key", "my-own-key-for-it", "--bad")
    assert code == 1
    assert "200 with what is no JSON" in out
    assert "0 safe error, 2 wrong" in out
    assert f"http://127.0.0.1:{port}/v1" in err
    assert "my-own-key-for-it" not in out + err


def test_a_gateway_that_does_not_answer_is_told_what_it_has_to_ask(
    capsys: pytest.CaptureFixture[str],
) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{free_port()}"
    code, _, err = told(capsys, url, "--listen", f"127.0.0.1:{port}", "--wait", "0")
    assert code == 1
    assert f"Its upstream has to be http://127.0.0.1:{port}/v1, with any key." in " ".join(
        err.split()
    )


def test_a_port_that_is_taken_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        port = sock.getsockname()[1]
        code, _, err = told(capsys, "http://127.0.0.1:9", "--listen", f"127.0.0.1:{port}")
    assert code == 1
    assert "is taken" in err


def test_models_are_listed_for_gateways_that_want_to_know_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, out, _ = told(capsys, "--list", "--only", "F2", "--model-prefix", "openai/")
    assert (code, out.split()) == (
        0,
        [
            *("openai/whole/plain", "openai/stream/plain"),
            *("openai/stream/fault-no-done", "openai/stream/fault-after-done"),
        ],
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--only", "nonsense"), "nonsense"),
        (("ftp://host",), "is no URL of a gateway"),
        (("http://x", "--sdk", "trunkline"), "not both"),
        (("http://x", "--header", "nonsense"), "NAME:VALUE"),
        (("http://x", "--listen", "nowhere"), "HOST:PORT"),
        (("http://x", "--listen", "0.0.0.0:0"), "loopback"),
    ],
)
def test_wrong_use_is_told(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], says: str
) -> None:
    code, _, err = told(capsys, *arguments)
    assert code in (1, 2)
    assert says in err
