"""The `trunkline` command; `main` is its entry point. Everything else loads when it is used."""

from trunkline.cli.program import main as main

__all__ = ["main"]
