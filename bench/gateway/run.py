"""All measures of the gateway, side by side with its peers in one run, as one table.

Usage: scripts/bench-gateway [--only unary,stream,latency,many,prompts,start] [--rounds N]
[--seconds S] [--peers trunkline,nginx,...] [--json FILE] [--soak MINUTES].

Each gateway has core 1 for itself; the load and the upstream share core 0. The figures are the
medians of the rounds, in which the gateways take turns. Peers are installed on first use into
$TRUNKLINE_BENCH_PEERS (default .bench-peers/); one that does not install, start or answer is left
out and named with its reason. nginx as a plain proxy is the limit that the ratios refer to. Slow
peers are asked for throughput and start only, unless --peers names them. It takes about 40 minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import machine
import measure_latency
import measure_many
import measure_prompts
import measure_start
import measure_stream
import measure_unary
import soak
from gateways import Gateway
from peers import PEERS
from processes import CannotRunError, need
from results import Results
from rounds import Bench
from under_test import TRUNKLINE

ALL = (TRUNKLINE, *PEERS)
MEASURES: dict[str, Callable[[Bench], None]] = {
    "unary": measure_unary.run,
    "stream": measure_stream.run,
    "latency": measure_latency.run,
    "many": measure_many.run,
    "prompts": measure_prompts.run,
    "start": measure_start.run,
}
_ROOT = Path(__file__).resolve().parent.parent.parent


def main() -> None:
    options = _options()
    signal.signal(signal.SIGTERM, _leave)  # so that what was started is stopped then, too
    need("nginx", "wrk", "taskset")
    files = machine.raise_file_limit()
    home = Path(os.environ.get("TRUNKLINE_BENCH_PEERS") or _ROOT / ".bench-peers").resolve()
    results = Results()
    bench = Bench(
        gateways=_installed(options.peers or [gateway.name for gateway in ALL], home, results),
        asked_for=options.peers is not None,
        home=home,
        rounds=options.rounds,
        seconds=options.seconds,
        streams=min(options.streams, (files - 400) // 2),
        wanted_streams=options.streams,
        results=results,
    )
    facts = machine.facts()
    for each in bench.gateways:
        facts.setdefault(each.name, each.version(home / each.name))
    try:
        if options.soak:
            soak.run(bench, options.soak)
        else:
            for name in options.only:
                MEASURES[name](bench)
    finally:  # what was measured until it was interrupted is worth reading
        _tell(facts, results, options.json)


def _tell(facts: dict[str, str], results: Results, path: Path | None) -> None:
    known = "; ".join(f"{name} {value}" for name, value in facts.items() if value)
    print(f"{known}\n\n{results.table([gateway.name for gateway in ALL])}", flush=True)
    if path:
        path.write_text(json.dumps({"machine": facts, **results.as_json()}, indent=2) + "\n")


def _options() -> argparse.Namespace:
    every = tuple(gateway.name for gateway in ALL)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only", type=_names(tuple(MEASURES)), default=list(MEASURES), help=", ".join(MEASURES)
    )
    parser.add_argument("--peers", type=_names(every), help=", ".join(every))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measured run")
    parser.add_argument("--streams", type=int, default=10_000, help="of the measure `many`")
    parser.add_argument(
        "--soak", type=float, metavar="MINUTES", help="the long run of Trunkline, and nothing else"
    )
    parser.add_argument("--json", type=Path, help="write every round's values to this file")
    return parser.parse_args()


def _names(allowed: tuple[str, ...]) -> Callable[[str], list[str]]:
    def read(text: str) -> list[str]:
        wanted = [name.strip() for name in text.split(",")]
        if unknown := set(wanted) - set(allowed):
            raise argparse.ArgumentTypeError(
                f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(allowed)}"
            )
        return wanted

    return read


def _installed(wanted: list[str], home: Path, results: Results) -> tuple[Gateway, ...]:
    """Install what is asked for and return what did."""
    found = []
    for gateway in ALL:
        if gateway.name not in wanted:
            continue
        try:
            gateway.install(home / gateway.name)
        except CannotRunError as error:
            results.fails("install", gateway.name, error)
        else:
            found.append(gateway)
    return tuple(found)


def _leave(_signal: int, _frame: object) -> None:
    raise SystemExit(143)


if __name__ == "__main__":
    try:
        main()
    except CannotRunError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
