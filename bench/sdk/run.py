"""All measures of the SDK, side by side with its peers in one run, as one table.

Usage: scripts/bench [--rounds N]. Each figure is the median of N fresh processes; the libraries
take turns, so that a slow moment of the machine falls on all of them.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import re
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ENVIRONMENT = {
    # as installed: compiled once, then loaded
    **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
}
LIBRARIES = ("trunkline", "openai", "huggingface_hub", "litellm")
ROWS = (
    ("sync", "CPU of one sync call (us)", 100.0),
    ("async", "CPU of one async call, 64 in flight (us)", 80.0),
    ("embedding", "CPU of one sync call for 8 embeddings of 384 numbers (us)", None),
    ("log", "CPU that the local log adds to one sync call (us)", None),
    ("log-thread", "of that on the thread that calls (us)", None),
    ("stream", "CPU of a streamed chunk, sync (us)", 10.0),
    ("async-stream", "CPU of a streamed chunk, async (us)", 10.0),
    ("cancel-silent", "cancel to hang-up, before headers (ms, worst of 20)", 100.0),
    ("cancel-head", "cancel to hang-up, before the first token (ms)", 100.0),
    ("cancel-drip", "cancel to hang-up, mid-stream (ms)", 100.0),
)
IMPORT = """
import resource, sys, time
before = time.perf_counter()
import {library}
{use}
print(time.perf_counter() - before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""
USE = {
    "trunkline": "from trunkline import completion, Client",
    "openai": "from openai import OpenAI",
    "huggingface_hub": "from huggingface_hub import InferenceClient",
    "litellm": "from litellm import completion",
}


def python_for(library: str) -> str | None:
    """Return the interpreter that has `library`: LiteLLM lives in an environment of its own."""
    if library != "litellm":
        return sys.executable
    return os.environ.get("TRUNKLINE_BENCH_LITELLM") or None


def measure(library: str, *arguments: str) -> float | None:
    """Return one number from one fresh process; None where the library cannot do it."""
    python = python_for(library)
    if python is None:
        return None
    done = subprocess.run(
        [python, str(HERE / "client.py"), library, *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=ENVIRONMENT,
    )
    if done.returncode != 0:
        print(f"{library} {arguments[0]}: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
        return None
    return float(done.stdout.split()[-1])


def import_cost(library: str) -> tuple[float, float] | None:
    """Return milliseconds and megabytes (peak RSS) of importing `library`."""
    python = python_for(library)
    if python is None:
        return None
    done = subprocess.run(
        [python, "-c", IMPORT.format(library=library, use=USE[library])],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=ENVIRONMENT,
    )
    if done.returncode != 0:
        return None
    seconds, megabytes = done.stdout.split()[-2:]
    return float(seconds) * 1000, float(megabytes)


def packages(library: str, seen: set[str] | None = None) -> set[str]:
    """Return the distributions that installing `library` brings, itself included."""
    seen = set() if seen is None else seen
    name = re.sub(r"[-_.]+", "-", library).lower()
    if name in seen:
        return seen
    try:
        requires = importlib.metadata.requires(library) or []
    except importlib.metadata.PackageNotFoundError:
        return seen  # for another platform or Python
    seen.add(name)
    for line in requires:
        wanted, _, condition = line.partition(";")
        if "extra" not in condition:
            packages(re.split(r"[\s<>=!~\[(]", wanted.strip())[0], seen)
    return seen


def counted(library: str) -> int | None:
    """Return the number of packages, asked of the interpreter that has the library."""
    python = python_for(library)
    if python is None:
        return None
    code = f"import sys; sys.path.insert(0, {str(HERE)!r}); import run; print(len(run.packages({library!r})))"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    return int(done.stdout) if done.returncode == 0 else None


def median(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def show(value: float | None) -> str:
    if value is None:
        return "-"
    if float(value).is_integer():
        return str(int(value))
    if value == float("inf"):
        return "not seen"
    return f"{value:.0f}" if value >= 20 else f"{value:.1f}"


def line(what: str, values: list[float | None], reach: str) -> str:
    return f"| {what} | {reach} | " + " | ".join(show(value) for value in values) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    upstream = subprocess.Popen(
        [sys.executable, str(HERE / "upstream.py")], stdout=subprocess.PIPE, text=True
    )
    assert upstream.stdout is not None
    base = f"http://127.0.0.1:{upstream.stdout.readline().strip()}/v1"
    try:
        print("| what | reach | " + " | ".join(LIBRARIES) + " |")
        print("|---" * (len(LIBRARIES) + 2) + "|")
        for library in LIBRARIES:
            import_cost(library)  # compiles what has not been
        imports = [[import_cost(library) for library in LIBRARIES] for _ in range(rounds + 2)]
        for index, (what, reach) in enumerate(
            (("import, wall (ms)", "100"), ("import, peak RSS (MB)", "40"))
        ):
            columns = [
                median([row[i][index] if row[i] else None for row in imports])  # type: ignore[index]
                for i in range(len(LIBRARIES))
            ]
            print(line(what, columns, reach), flush=True)
        for name, what, reach_number in ROWS:
            times = 1 if name.startswith("cancel") else rounds  # that is the worst of 20 already
            found = [[measure(library, name, base) for library in LIBRARIES] for _ in range(times)]
            columns = [median([row[i] for row in found]) for i in range(len(LIBRARIES))]
            reach = "" if reach_number is None else f"{reach_number:.0f}"
            print(line(what, columns, reach), flush=True)
            if name == "sync":
                bare = median([measure("bare", "sync", base) for _ in range(rounds)])
                print(
                    f"| the same with bare sockets, llhttp, msgspec (us) | | {show(bare)} | | | |"
                )
        print(line("installed packages", [counted(library) for library in LIBRARIES], "<10"))
        hub = measure("trunkline", "hub-requests", base)
        print(line("Hub requests per chat call", [hub, None, None, None], "0"))
        hub = measure("trunkline", "hub-requests-embedding", base)
        print(
            line("Hub requests for 50 embedding calls", [hub and hub * 50, None, None, None], "1")
        )
    finally:
        upstream.kill()
        upstream.wait()


if __name__ == "__main__":
    main()
