"""Puts the peers into folders of their own, from PyPI and npm, once."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import venv
from pathlib import Path

from processes import CannotRunError, need


def _run(home: Path, *argv: str) -> None:
    done = subprocess.run(argv, cwd=home, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = (done.stderr or done.stdout).strip().splitlines()[-3:]
        raise CannotRunError(f"does not install: {' '.join(last)}")


def from_pypi(home: Path, *packages: str) -> None:
    """Install packages into a virtual environment at `home`, unless they are there."""
    mark = home / ".ready"
    if mark.exists() and mark.read_text() == " ".join(packages):
        return
    print(f"installing {' '.join(packages)} into {home}", file=sys.stderr)
    shutil.rmtree(home, ignore_errors=True)
    venv.create(home, with_pip=True)
    pip = (str(home / "bin/python"), "-m", "pip", "install", "--quiet")
    _run(home, *pip, "--disable-pip-version-check", *packages)
    mark.write_text(" ".join(packages))


def pypi_version(home: Path, package: str) -> str:
    """Return the version of a package in the virtual environment at `home`."""
    pattern = f"lib/python*/site-packages/{package.replace('-', '_')}-*.dist-info"
    return next((path.name.split("-")[1] for path in home.glob(pattern)), "?").removesuffix(".dist")


def npm_version(home: Path, package: str) -> str:
    """Return the version of a package in `home`'s node_modules."""
    return str(
        json.loads((home / "node_modules" / package / "package.json").read_text())["version"]
    )


def from_npm(home: Path, dependencies: dict[str, str], overrides: dict[str, str]) -> None:
    """Install packages into `home`'s node_modules, unless they are there."""
    need("node", "npm")
    package = {"private": True, "dependencies": dependencies, "overrides": overrides}
    wanted = json.dumps(package, indent=2)
    mark = home / ".ready"
    if mark.exists() and mark.read_text() == wanted:
        return
    print(f"installing {' '.join(dependencies)} into {home}", file=sys.stderr)
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    (home / "package.json").write_text(wanted)
    _run(home, "npm", "install", "--no-fund", "--no-audit")
    mark.write_text(wanted)
