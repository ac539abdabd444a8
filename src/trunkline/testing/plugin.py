"""What pytest knows once Trunkline is installed: fixtures, a marker and an option."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from trunkline.sandbox import SandboxServer
    from trunkline.testing.cassettes import Cassette

TOKEN = "hf_sandbox"  # noqa: S105 - the sandbox takes any token that looks like one

_MARKER = (
    "trunkline_cassette(path=None, *, match='strict', mode=None, secrets=()): where and how the "
    "fixture trunkline_cassette replays this test's calls"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --trunkline-record."""
    parser.getgroup("trunkline").addoption(
        "--trunkline-record",
        choices=("none", "once", "new_episodes", "all"),
        default="none",
        help="what the fixture trunkline_cassette does with calls that were not recorded: refuse "
        "them (none), or record them where there is no file (once), one by one (new_episodes), or "
        "everything anew (all)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", _MARKER)


_FAILED = pytest.StashKey[bool]()


def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Note on a test that it has failed; what its cassette would say then is beside the point."""
    if call.excinfo is not None:
        item.stash[_FAILED] = True


@pytest.fixture
def trunkline_cassette(request: pytest.FixtureRequest) -> Generator[Cassette]:
    """Replay this test's calls from `cassettes/<module>/<test>.json` beside its file.

    With `--trunkline-record` they are recorded; the marker `trunkline_cassette` has replay's
    arguments, a path being beside the test's file.
    """
    from trunkline.testing.cassettes import replay

    given: dict[str, Any] = {"mode": request.config.getoption("--trunkline-record")}
    name = "".join(c if c.isalnum() or c in "-_.[]" else "-" for c in request.node.name)
    path = f"cassettes/{request.path.stem}/{name}.json"
    for marker in request.node.iter_markers("trunkline_cassette"):
        path = marker.args[0] if marker.args else marker.kwargs.get("path") or path
        given |= {k: v for k, v in marker.kwargs.items() if k != "path" and v is not None}
        break  # the nearest
    with replay(request.path.parent / path, **given) as cassette:
        yield cassette
        cassette.forgiving = request.node.stash.get(_FAILED, False)


@pytest.fixture
def trunkline_sandbox(monkeypatch: pytest.MonkeyPatch) -> Generator[SandboxServer]:
    """Send every call of Trunkline to a sandbox on loopback for the length of a test.

    The environment names the sandbox as router and Hub and holds a token for it, and the default
    clients are new. The value is the server: `.url`, and `.requests`, what was asked of it.
    """
    from trunkline.sandbox import serve_in_thread

    with serve_in_thread() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        monkeypatch.setenv("TRUNKLINE_LOG", "0")  # the user's own log is no place for tests
        for name in ("HF_BILL_TO", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.delenv(name, raising=False)
        with _fresh_default_clients():
            yield server


@contextmanager
def _fresh_default_clients() -> Generator[None]:
    from trunkline import functions

    functions.set_default_client(None, None)
    try:
        yield
    finally:
        functions.default_client().close()
        functions.set_default_client(None, None)
