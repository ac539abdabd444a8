"""Policies of routes over a simulated day of six providers: the real kernel, and a world that is made up.

Usage: scripts/bench-routing [--rate 0.3] [--seed 1] [--only TEXT,TEXT] [--jobs N] [--json FILE] [--docs].
`--docs` writes the tables into docs/routing-simulation.md.

Simulated are time and what becomes of a request: see world.py, which states all of it. Which place is
asked, how often, in which order and for how long is decided by what decides it for real calls
(`trunkline.routing`). The same seed gives the same numbers, on any machine. It takes some minutes.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import msgspec
from strategies import STRATEGIES, Found, Strategy, carried, failing
from world import Day

from trunkline.routing.policy import Policy

_PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "routing-simulation.md"
_BEGIN = "<!-- tables: scripts/bench-routing --docs -->\n"
_END = "<!-- end of the tables -->\n"
RATES = (1, 10, 50, 100, 500)
_ALL_FAIL = (("fastest of six", Policy(order="fastest")), ("one place", Policy(places=("A",))))

COLUMNS: tuple[tuple[str, Callable[[Found], str]], ...] = (
    ("succeeded", lambda f: f"{f.succeeded / f.calls:.2%}"),
    ("worst hour", lambda f: f"{f.worst_hour:.1%}"),
    ("first token p50, s", lambda f: f"{f.first_token['p50']:.2f}"),
    ("p99", lambda f: f"{f.first_token['p99']:.2f}"),
    ("whole answer p50, s", lambda f: f"{f.total['p50']:.1f}"),
    ("p99 ", lambda f: f"{f.total['p99']:.1f}"),
    ("$ for 1,000", lambda f: f"{f.cost:.3f}"),
    ("attempts a call", lambda f: f"{f.attempts:.3f}"),
)


class Failing(msgspec.Struct):
    """What is sent where every provider fails every call."""

    route: str
    rate: float
    calls: int
    attempts: int


def table(found: list[Found]) -> str:
    """Return what came of each strategy as Markdown."""
    lines = [
        f"| {' | '.join(('calls are sent', *(name.strip() for name, _ in COLUMNS)))} |",
        "|---|" + "---:|" * len(COLUMNS),
    ]
    lines += [f"| {f.name} | {' | '.join(shown(f) for _, shown in COLUMNS)} |" for f in found]
    return "\n".join(lines) + "\n"


def failing_table(found: list[Failing]) -> str:
    """Return how many attempts calls make where all fails, as Markdown."""
    names = list(dict.fromkeys(f.route for f in found))
    rates = list(dict.fromkeys(f.rate for f in found))
    by_both = {(f.route, f.rate): f"{f.attempts / f.calls:.3f}" for f in found}
    lines = [f"| attempts a call, at calls/s | {' | '.join(f'{rate:g}' for rate in rates)} |"]
    lines += ["|---|" + "---:|" * len(rates)]
    lines += [f"| {n} | {' | '.join(by_both[n, rate] for rate in rates)} |" for n in names]
    return "\n".join(lines) + "\n"


def write_docs(text: str) -> None:
    """Put the tables into their page."""
    before, _, rest = _PAGE.read_text().partition(_BEGIN)
    _, _, after = rest.partition(_END)
    _PAGE.write_text(f"{before}{_BEGIN}\n{text}\n{_END}{after}")


def simulated(strategy: Strategy, *, seed: int, rate: float) -> Found:
    """Send one day's calls."""
    print(strategy.name, file=sys.stderr)
    day = Day(seed)
    return carried(strategy, day, day.calls(rate), day.happening)


def all_failing() -> list[Failing]:
    """Have everything fail for a minute, at several rates."""
    return [
        Failing(name, rate, *failing(rate, 60.0, policy))
        for name, policy in _ALL_FAIL
        for rate in RATES
    ]


def main() -> None:
    options = _options()
    parts = options.only.split(",")
    chosen = [one for one in STRATEGIES if any(part in one.name for part in parts)]
    with ProcessPoolExecutor(options.jobs) as pool:
        work = partial(simulated, seed=options.seed, rate=options.rate)
        found = list(pool.map(work, chosen))
    failed = [] if options.only else all_failing()
    text = table(found) + (f"\n{failing_table(failed)}" if failed else "")
    print(text, flush=True)
    if options.json:
        told = {"seed": options.seed, "rate": options.rate, "found": found, "failing": failed}
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(told), indent=2) + b"\n")
    if options.docs and not options.only:
        write_docs(text)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate", type=float, default=0.3, help="calls a second, on average")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--only",
        default="",
        help="strategies with one of these in their names, and nothing else; never into the page",
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="simulated at a time")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument("--docs", action="store_true", help="write the tables into the page")
    return parser.parse_args()


if __name__ == "__main__":
    main()
