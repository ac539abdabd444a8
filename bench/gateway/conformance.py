"""Holds Trunkline's gateway and its peers to the wall of faults, each in front of the sandbox; prints a table.

    python bench/gateway/conformance.py [--peers litellm,portkey] [--json results.json]

Peers are installed where those of run.py are. Each is told to give up a silent upstream after five
seconds, a call has thirty, and one that answers nothing any more is started again.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import gateways
import msgspec
import peers
import under_test
from gateways import Gateway, Place, Request
from processes import CannotRunError, Processes

from trunkline.conformance.asking import place_of
from trunkline.conformance.calls import Call, Result, calls_for, count
from trunkline.conformance.gateway import Wall
from trunkline.conformance.upstream import Upstream

_ROOT = Path(__file__).parents[2]
SILENCE = 5
"""Seconds after which each gateway is told to give up a silent upstream."""
LIMIT = 30.0
"""Seconds for each call: room for a gateway that asks again."""
UPSTREAM_KEY = "sk-conformance-of-the-upstream"
WANTED = ("trunkline", "portkey", "litellm")

_TRUNKLINE = """
unlisted_models = "pass"
default_upstream = "sandbox"
[listen]
port = {port}
[store]
path = "{folder}/gateway.db"
[upstreams.sandbox]
kind = "openai"
base_url = "{upstream}"
key_env = "UPSTREAM_KEY"
idle_seconds = {silence}
first_byte_seconds = {silence}
"""


def _trunkline(place: Place) -> list[str]:
    config = place.folder / "trunkline.toml"
    told = {"port": place.port, "folder": place.folder, "upstream": place.upstream_url}
    config.write_text(_TRUNKLINE.format(**told, silence=SILENCE))
    config.chmod(0o600)
    return [str(Path(sys.executable).parent / "trunkline"), "serve", "--config", str(config)]


def _litellm(place: Place) -> list[str]:
    parameters = {"model": "openai/*", "api_base": place.upstream_url, "api_key": UPSTREAM_KEY}
    limits = {"timeout": SILENCE, "stream_timeout": SILENCE}
    config = {
        "model_list": [{"model_name": "*", "litellm_params": {**parameters, **limits}}],
        "router_settings": {"disable_cooldowns": True},  # each fault is a model, all one deployment
        "litellm_settings": {"telemetry": False, "request_timeout": SILENCE},
        "general_settings": {"disable_spend_logs": True},
    }
    path = place.folder / "litellm.yaml"
    path.write_text(json.dumps(config))  # JSON is YAML
    where = ["--host", "127.0.0.1", "--port", str(place.port)]
    return [str(place.home / "bin/litellm"), "--config", str(path), *where]


def _portkey_request(place: Place) -> Request:
    headers = {
        "Authorization": f"Bearer {UPSTREAM_KEY}",  # it has no keys of its own
        "x-portkey-provider": "openai",
        "x-portkey-custom-host": place.upstream_url,
        "x-portkey-request-timeout": str(SILENCE * 1000),
    }
    return Request(headers=headers)


def _rows() -> dict[str, Gateway]:
    """Return the gateways as bench/gateway has them, set up for the sandbox."""
    known = {row.name: row for row in (under_test.TRUNKLINE, *peers.PEERS)}
    trunkline = known["trunkline"]
    mine = {"UPSTREAM_KEY": UPSTREAM_KEY}
    return {
        "trunkline": replace(
            trunkline,
            command=_trunkline,
            env=lambda place: {**trunkline.env(place), **mine},
            request=lambda place: Request().with_key(
                under_test.new_key(place.port, wish={}).secret
            ),
        ),
        "portkey": replace(known["portkey"], request=_portkey_request),
        "litellm": replace(known["litellm"], command=_litellm),
    }


@contextmanager
def _started(row: Gateway, home: Path, upstream: Upstream) -> Iterator[Wall]:
    """Have a gateway in front of the sandbox, until the block ends."""
    with tempfile.TemporaryDirectory() as folder, Processes(Path(folder)) as processes:
        port = upstream.server.port
        with gateways.running(processes, row, home, port, core=None) as running:
            headers = {n: v for n, v in running.request.headers.items() if n != "Content-Type"}
            place = place_of(f"http://127.0.0.1:{running.port}", tuple(headers.items()))
            yield Wall(place, upstream, limit=LIMIT)


async def _held(row: Gateway, home: Path, only: list[str]) -> list[Result]:
    """Hold a gateway to the wall; one that answers nothing any more is started again for the rest."""
    found: dict[Call, Result] = {}
    left = calls_for(only)
    while left:
        async with Upstream() as upstream:
            wall = await asyncio.to_thread(_enter, started := _started(row, home, upstream))
            try:
                await wall.ready(60.0)
                results = await wall.run(left)
            finally:
                await asyncio.to_thread(started.__exit__, None, None, None)
        made = dict(zip(left, results, strict=True))
        left = [call for call, result in made.items() if _not_made(result)]
        found.update({call: result for call, result in made.items() if call not in left})
    return [found[call] for call in calls_for(only)]


def _enter(started: Any) -> Wall:
    wall: Wall = started.__enter__()
    return wall


def _not_made(result: Result) -> bool:
    return result.verdict == "hang" and not result.asked and not result.seconds


def _table(names: Iterable[str], runs: Mapping[str, list[Result]]) -> Iterator[str]:
    columns = list(names)
    yield f"| | {' | '.join(columns)} |"
    yield f"|---|{'---|' * len(columns)}"
    counts = [count(results) for results in runs.values()]
    for verdict in ("pass", "safe error", "wrong", "hang"):
        yield f"| {verdict} | {' | '.join(str(found[verdict]) for found in counts)} |"
    unmet = [
        sum(r.verdict == "safe error" and not r.expected for r in results)
        for results in runs.values()
    ]
    yield f"| of the safe errors, where an answer was due | {' | '.join(map(str, unmet))} |"


def _wrongs(results: list[Result]) -> Iterator[str]:
    """Return lines that name what is wrong or hangs, the same of several faults together."""
    found: dict[str, list[str]] = {}
    for result in results:
        if result.verdict in ("wrong", "hang"):
            why = result.why if result.verdict == "wrong" else f"hangs: {result.why}"
            found.setdefault(why, []).append(f"`{result.fault}` ({result.shape})")
    for why, faults in found.items():
        yield f"- {why}: {', '.join(faults)}"


def main() -> int:
    """Hold each gateway to the wall and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--peers", default=",".join(WANTED), help=", ".join(WANTED))
    parser.add_argument("--only", action="append", default=[], help="a fault, pattern or group")
    parser.add_argument("--json", type=Path, help="write every result to this file")
    options = parser.parse_args()
    home = Path(os.environ.get("TRUNKLINE_BENCH_PEERS") or _ROOT / ".bench-peers").resolve()
    rows, runs = _rows(), dict[str, list[Result]]()
    for name in options.peers.split(","):
        row = rows[name]
        try:
            row.install(home / name)
            print(f"{name} {row.version(home / name)}", file=sys.stderr)
            runs[f"{name} {row.version(home / name)}"] = asyncio.run(_held(row, home, options.only))
        except CannotRunError as error:
            print(f"{name}: {error}", file=sys.stderr)
    print(f"{datetime.now(UTC):%Y-%m-%d}\n")
    print("\n".join(_table(runs, runs)))
    for name, results in runs.items():
        print(f"\n{name}:\n\n" + "\n".join(_wrongs(results)))
    if options.json:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(runs), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
