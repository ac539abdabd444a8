"""What the store of many replicas has to bear, simulated: the real leases and the real grants, no network.

Usage: scripts/bench-scale [--rates 10000,100000,1000000] [--spreads 100,3] [--replicas 100]
[--keys 10000] [--minutes 1] [--jobs N] [--json FILE] [--docs]. `--docs` writes the table into docs/scale.md.

Simulated are time, the network, calls that take 1.5 s on average, and what arrives: at random moments, of
keys by Zipf's law. The guard, its leases, their rounds and slices, and the functions by which a store
grants are those of the gateway. One key in ten may ask half as often as it does, one in ten has half of
the budget that it needs. The same seed gives the same numbers, on any machine. It takes about a
quarter of an hour, most of it for the largest rate.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from statements import BEATS, LOOKS, counted
from world import BUSIEST, MINUTE, Plan, World

_PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "scale.md"
_BEGIN, _END = "<!-- table: scripts/bench-scale --docs -->\n", "<!-- end of the table -->\n"
Found = dict[str, Any]


def measure(plan: Plan) -> Found:
    """Simulate one plan and return its figures."""
    began = time.monotonic()
    print(f"{plan.rate:,} requests/min, {plan.spread} replicas a key", file=sys.stderr)
    world = World(plan)
    asked = world.run()
    seconds = MINUTE * plan.minutes
    each = counted()
    requests = asked["requests"]
    statements = (
        each["money"] * asked["money round trips"]
        + each["rates"] * asked["rate round trips"]
        + each["commit"] * asked["commits"]
    ) / seconds + plan.replicas * (BEATS + LOOKS)
    return {
        "plan": asdict(plan),
        "requests": requests,
        "lease round trips/min": (asked["money round trips"] + asked["rate round trips"])
        / plan.minutes,
        "wishes/min": (asked["money wishes"] + asked["rate wishes"]) / plan.minutes,
        "commits/s": asked["commits"] / seconds,
        "store statements/s": statements,
        "waits per 1,000 requests": 1000 * asked["waited"] / requests,
        "waits per 1,000 requests of the busiest keys": 1000
        * world.busy[True]
        / max(world.busy.total(), 1),
        "wait, mean, ms": 1000 * statistics.fmean(world.waits) if world.waits else 0.0,
        "wait, p99, ms": 1000 * statistics.quantiles(world.waits, n=100)[98]
        if len(world.waits) > 1
        else 0.0,
        "budget overshoot, $": world.overshoot() / 10**12,
        "calls beyond limits": world.beyond_limits(),
        "share of a short limit that was used": world.allowed_share(),
        "outcomes": dict(world.outcomes),
        "asked of the store": dict(asked),
        "seconds to simulate": time.monotonic() - began,
    }


ROWS: tuple[tuple[str, Callable[[Found], str]], ...] = (
    ("requests/min", lambda f: f"{f['plan']['rate']:,}"),
    ("replicas that a key reaches", lambda f: f"{f['plan']['spread']}"),
    ("lease round trips/min", lambda f: f"{f['lease round trips/min']:,.0f}"),
    ("the same for a request", lambda f: f"{f['lease round trips/min'] / f['plan']['rate']:.3f}"),
    ("leases in them/min", lambda f: f"{f['wishes/min']:,.0f}"),
    ("commits/s, all replicas", lambda f: f"{f['commits/s']:,.0f}"),
    ("store statements/s", lambda f: f"{f['store statements/s']:,.0f}"),
    ("waits per 1,000 requests", lambda f: f"{f['waits per 1,000 requests']:,.0f}"),
    (
        f"waits per 1,000 requests of the {BUSIEST} busiest keys",
        lambda f: f"{f['waits per 1,000 requests of the busiest keys']:,.0f}",
    ),
    ("wait, mean, ms", lambda f: f"{f['wait, mean, ms']:.0f}"),
    ("wait, p99, ms", lambda f: f"{f['wait, p99, ms']:.0f}"),
    ("budgets passed, $", lambda f: f"{f['budget overshoot, $']:g}"),
    ("calls beyond a limit", lambda f: f"{f['calls beyond limits']:,}"),
    ("used of limits that are short", lambda f: f"{f['share of a short limit that was used']:.3f}"),
)


def table(found: list[Found]) -> str:
    """Return the figures as Markdown, a column for each run."""
    names, *rest = [[shown(each) for each in found] for _, shown in ROWS]
    lines = [f"| {ROWS[0][0]} | {' | '.join(names)} |", "|---|" + "---:|" * len(found)]
    lines += [
        f"| {name} | {' | '.join(cells)} |" for (name, _), cells in zip(ROWS[1:], rest, strict=True)
    ]
    return "\n".join(lines) + "\n"


def write_docs(text: str) -> None:
    """Put the table into its page."""
    before, _, rest = _PAGE.read_text().partition(_BEGIN)
    _, _, after = rest.partition(_END)
    _PAGE.write_text(f"{before}{_BEGIN}\n{text}\n{_END}{after}")


def main() -> None:
    options = _options()
    plans = [
        Plan(
            rate=rate,
            replicas=options.replicas,
            spread=min(spread, options.replicas),
            keys=options.keys,
            minutes=options.minutes,
        )
        for spread in options.spreads
        for rate in options.rates
    ]
    with ProcessPoolExecutor(options.jobs) as pool:
        found: list[Found] = list(pool.map(measure, plans))
    print(table(found), flush=True)
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    if options.docs:
        write_docs(table(found))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rates", type=_numbers, default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--spreads", type=_numbers, default=[100, 3])
    parser.add_argument("--replicas", type=int, default=100)
    parser.add_argument("--keys", type=int, default=10_000)
    parser.add_argument("--minutes", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="simulated at a time")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument("--docs", action="store_true", help="write the table into docs/scale.md")
    return parser.parse_args()


def _numbers(text: str) -> list[int]:
    return [int(each) for each in text.split(",")]


if __name__ == "__main__":
    main()
