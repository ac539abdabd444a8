"""What the machine says of itself and of processes, read from /proc. It starts nothing."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def tree(root: int) -> list[int]:
    """Return a process and all its descendants that are alive."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and (fields := _stat(int(folder.name))):
            children.setdefault(int(fields[1]), []).append(int(folder.name))
    found = [root]
    for process in found:
        found.extend(children.get(process, []))
    return found


def _stat(process: int) -> list[str]:
    """Return the fields of /proc/<pid>/stat from the state on, none for a process that is gone."""
    try:
        text = Path(f"/proc/{process}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return text.rpartition(")")[2].split()  # a name may hold spaces and parentheses


def cpu_seconds(root: int) -> float:
    """Return the CPU time of a process and its descendants, those that it has reaped included."""
    total = 0
    for process in tree(root):
        if fields := _stat(process):
            total += sum(int(field) for field in fields[11:15])
    return total / _TICKS


def resident_kb(root: int) -> int:
    """Return the resident memory (RSS) of a process and its descendants, added up, in kB."""
    total = 0
    for process in tree(root):
        try:
            status = Path(f"/proc/{process}/status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended meanwhile
        total += sum(
            int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")
        )
    return total


def raise_file_limit() -> int:
    """Allow as many open files as this user may have, here and in what is started; return how many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def _first_line(*argv: str) -> str:
    if shutil.which(argv[0]) is None:
        return f"{argv[0]} is missing"
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return (done.stdout or done.stderr).strip().splitlines()[0]


def facts() -> dict[str, str]:
    """Return what a reader of the numbers must know of the machine."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "cores": f"{os.cpu_count()} x {model}",
        "load before": f"{os.getloadavg()[0]:.2f}",
        "kernel": platform.release(),
        "open files": str(resource.getrlimit(resource.RLIMIT_NOFILE)[1]),
        "python": platform.python_version(),
        "nginx": _first_line("nginx", "-v").rpartition("/")[2],
        "wrk": _first_line("wrk", "-v").partition(" [")[0].removeprefix("wrk "),
    }
