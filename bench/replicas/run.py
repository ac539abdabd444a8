"""All measures of several processes on one store, side by side in one run, as one table.

Usage: scripts/bench-replicas [--only stores,workers,cent,rolling,crashes,translation] [--rounds N]
[--seconds S] [--cents N] [--restarts N] [--kills N] [--json FILE].

The gateway has core 1; the load, the upstream, PostgreSQL and Redis share core 0. The figures of
`stores` and `workers` are the medians of the rounds, in which the variants take turns; the others count
what must not happen: `cent` cuts Redis while three replicas with 64 callers spend a budget's last cent,
`rolling` replaces workers under load, `crashes` kills the gateway at random moments and reconciles
callers, upstream and ledger. It takes about an hour and a half.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import machine
import measure_crashes
import measure_rolling
import measure_stores
import measure_translation
import measure_workers
import variants
from processes import CannotRunError, need
from results import Results
from rounds import Bench
from stores import BenchPostgres, BenchRedis, serving

MEASURES = ("stores", "workers", "cent", "rolling", "crashes", "translation")
COLUMNS = [
    *("sqlite", "postgres", "postgres, redis", measure_stores.NOTHING),
    *(measure_workers.ONE, measure_workers.TWO, "trunkline"),
]


def main() -> None:
    options = _options()
    signal.signal(signal.SIGTERM, _leave)  # so that what was started is stopped then, too
    need("nginx", "wrk", "taskset")
    machine.raise_file_limit()
    results = Results()
    facts = machine.facts()
    with (
        tempfile.TemporaryDirectory(prefix="bench-replicas-") as home,
        serving(BenchPostgres) as postgres,
        serving(BenchRedis) as redis,
    ):
        bench = Bench(
            gateways=(),
            asked_for=True,
            home=Path(home),
            rounds=options.rounds,
            seconds=options.seconds,
            streams=0,
            wanted_streams=0,
            results=results,
        )
        shared = variants.Shared(postgres, redis)
        measures: dict[str, Callable[[], None]] = {
            "stores": lambda: measure_stores.run(bench, shared),
            "workers": lambda: measure_workers.run(bench, shared),
            "cent": lambda: _cent(bench, shared, options.cents),
            "rolling": lambda: measure_rolling.run(bench, shared, options.restarts),
            "crashes": lambda: measure_crashes.run(bench, shared, options.kills),
            "translation": lambda: _translation(results),
        }
        try:
            for name in options.only:
                print(f"{name} ...", file=sys.stderr)
                try:
                    measures[name]()
                except (CannotRunError, AssertionError) as error:  # the others can be had
                    results.fails(name, "trunkline", error)
        finally:  # what was measured until it was interrupted is worth reading
            _tell(facts, results, options.json)


def _cent(bench: Bench, shared: variants.Shared, runs: int) -> None:
    import measure_cent  # with the chaos tests, which nothing else here needs

    measure_cent.run(bench, shared, runs)


def _translation(results: Results) -> None:
    for name, cost in measure_translation.measure().items():
        results.row(f"CPU of an event, us: {name}", 2).add("trunkline", cost)


def _tell(facts: dict[str, str], results: Results, path: Path | None) -> None:
    known = "; ".join(f"{name} {value}" for name, value in facts.items() if value)
    print(f"{known}\n\n{results.table(COLUMNS)}", flush=True)
    if path:
        path.write_text(json.dumps({"machine": facts, **results.as_json()}, indent=2) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", type=_names, default=list(MEASURES), help=", ".join(MEASURES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measured run")
    parser.add_argument("--cents", type=int, default=100, help="runs of the measure `cent`")
    parser.add_argument("--restarts", type=int, default=20, help="of the measure `rolling`")
    parser.add_argument("--kills", type=int, default=300, help="of the measure `crashes`")
    parser.add_argument("--json", type=Path, help="write every round's values to this file")
    return parser.parse_args()


def _names(text: str) -> list[str]:
    wanted = [name.strip() for name in text.split(",")]
    if unknown := set(wanted) - set(MEASURES):
        raise argparse.ArgumentTypeError(
            f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(MEASURES)}"
        )
    return wanted


def _leave(_signal: int, _frame: object) -> None:
    raise SystemExit(143)


if __name__ == "__main__":
    try:
        main()
    except CannotRunError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
