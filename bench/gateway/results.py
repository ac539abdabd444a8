"""What was measured, as values, and as the one table that is printed. No I/O."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field


@dataclass
class Row:
    """One figure of each gateway; a value for each round."""

    name: str
    digits: int = 0
    values: dict[str, list[float]] = field(default_factory=dict)

    def add(self, gateway: str, value: float) -> None:
        """Note one round's value."""
        self.values.setdefault(gateway, []).append(value)

    def median(self, gateway: str) -> float | None:
        """Return the median of a gateway's rounds; None where it was not measured."""
        values = self.values.get(gateway)
        return statistics.median(values) if values else None

    def shown(self, gateway: str) -> str:
        """Return a cell."""
        value = self.median(gateway)
        return "-" if value is None else f"{value:,.{self.digits}f}"


@dataclass
class Results:
    """All rows in their order, and why what is missing is missing."""

    rows: dict[str, Row] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def row(self, name: str, digits: int = 0) -> Row:
        """Return the row of this name, a new one below the others where there is none."""
        return self.rows.setdefault(name, Row(name, digits))

    def against(self, name: str, limit: str, label: str, digits: int = 2) -> None:
        """Add a row of ratios to `limit`, each round's to the same round's."""
        row = self.row(name)
        base = row.values.get(limit)
        if not base:
            return
        ratios = self.row(label, digits)
        for gateway, values in row.values.items():
            pairs = zip(values, base, strict=False)  # one that failed in a round has fewer
            ratios.values[gateway] = [value / other for value, other in pairs if other]

    def fails(self, what: str, gateway: str, why: object) -> None:
        """Note why a gateway has no figure, once."""
        said = " ".join(str(why).split())[:300]
        text = f"{gateway}, {what}: {said}"
        if text not in self.missing:
            self.missing.append(text)

    def remark(self, text: str) -> None:
        """Note what a reader must know of the figures."""
        if text not in self.remarks:
            self.remarks.append(text)

    def table(self, gateways: list[str]) -> str:
        """Return it all as Markdown, a column for each gateway that has a figure."""
        shown = [name for name in gateways if any(name in row.values for row in self.rows.values())]
        lines = ["| what | " + " | ".join(shown) + " |", "|---|" + "---:|" * len(shown)]
        lines += [
            f"| {row.name} | " + " | ".join(row.shown(name) for name in shown) + " |"
            for row in self.rows.values()
        ]
        for title, texts in (("Remarks", self.remarks), ("Not measured", self.missing)):
            if texts:
                lines += ["", f"{title}:", "", *(f"- {text}" for text in texts)]
        return "\n".join(lines)

    def as_json(self) -> dict[str, object]:
        """Return every round's values."""
        rows = {row.name: row.values for row in self.rows.values()}
        return {"rows": rows, "remarks": self.remarks, "not measured": self.missing}
