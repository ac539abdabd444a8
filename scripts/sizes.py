"""Holds files and functions of the package to their measures: short enough to be read whole."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

FILE_LINES = 400
FUNCTION_LINES = 40
SHORT_LINES = 20
SHORT_SHARE = 0.85
FACES = {"client.py", "functions.py"}
"""Files whose functions are long for their keywords, not for their work."""


def body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return a function's lines without its docstring."""
    lines = (node.end_lineno or node.lineno) - node.lineno + 1
    first = node.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def main() -> int:
    """Print what is too long; return 1 if anything is."""
    root = Path(__file__).parent.parent / "src" / "trunkline"
    found: list[str] = []
    sizes: list[int] = []
    for path in sorted(root.rglob("*.py")):
        text = path.read_text()
        if text.count("\n") > FILE_LINES:
            found.append(f"{path.name}: {text.count(chr(10))} lines")
        if path.name in FACES:
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                sizes.append(body_lines(node))
                if sizes[-1] > FUNCTION_LINES:
                    found.append(f"{path.name}:{node.lineno} {node.name}: {sizes[-1]} lines")
    share = sum(size <= SHORT_LINES for size in sizes) / len(sizes)
    if share < SHORT_SHARE:
        found.append(f"only {share:.0%} of the functions have {SHORT_LINES} lines or fewer")
    print("\n".join(found) or f"sizes: {len(sizes)} functions, {share:.0%} of them short")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
