"""A run as one HTML file: tables, plots and evidence; nothing is fetched, nothing is run. Pure."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from html import escape

from trunkline.bench.against import Change
from trunkline.bench.figures import (
    FIRST_TOKEN,
    THROUGHPUT,
    Figures,
    Spread,
    figures,
    numbers,
)
from trunkline.bench.judging import normal
from trunkline.bench.sheet import UNKNOWN, dollars, seconds, share, speed
from trunkline.bench.svg import Dot, Strip, matrix, scatter, strips
from trunkline.bench.values import Asked, Finding, Odd, Run, Sample

_SHOWN = 1_200
"""Characters of an answer that the page shows."""

_OPEN = 2
"""Findings that are shown unfolded."""
_ODD = "Who stands out"

Cell = tuple[str, str]
"""A class and a text."""


def page(run: Run, changes: Sequence[Change] = (), earlier: Run | None = None) -> str:
    """Return the whole page."""
    rows = [row for row in figures(run) if row.skipped is None]
    style = (pkgutil.get_data("trunkline.bench", "page.css") or b"").decode()
    parts = [
        _head(run),
        _section("Measured", _table(rows) + _failures(run, rows) + _left_out(run)),
        _section("Plots", _plots(run, rows)),
        _section(_ODD, _oddities(run)),
        _section(f"Against {earlier.began:%Y-%m-%d %H:%M} UTC", _changes(changes))
        if earlier is not None
        else "",
        _section("What they answered", "".join(_answers(run, prompt) for prompt in run.prompts)),
        _section("How it was measured", _manner(run)),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'\">"
        f"<title>{escape(run.model)}, measured</title><style>{style}</style></head>"
        f"<body><main>{''.join(parts)}</main></body></html>\n"
    )


def _head(run: Run) -> str:
    unsure = f" and up to ${dollars(run.unsure)} of unknown cost" if run.unsure else ""
    failed = sum(sample.error is not None for sample in run.samples)
    count = len(run.asked)
    return (
        f"<h1>{escape(run.model)}</h1>"
        f'<p class="sub">{run.began:%Y-%m-%d %H:%M} to {run.ended:%H:%M} UTC, through '
        f"{escape(run.router)}</p>"
        f'<p class="sub">{count} provider{"s"[: count != 1]}, {len(run.samples)} calls, {failed} failed, '
        f"${dollars(run.spent)} spent{unsure}</p>{_verdict(run)}"
    )


def _verdict(run: Run) -> str:
    if not run.odd:
        return ""
    names = ", ".join(odd.provider for odd in run.odd)
    verb = "stands" if len(run.odd) == 1 else "stand"
    return (
        f'<p class="verdict">{escape(names)} {verb} out: see <a href="#odd">what was said</a>.</p>'
    )


def _section(title: str, body: str) -> str:
    mark = ' id="odd"' if title == _ODD else ""
    return f"<h2{mark}>{escape(title)}</h2>{body}" if body else ""


def _oddities(run: Run) -> str:
    if len(run.asked) < 2:  # one has no peers
        return "<p>There is nobody to compare with.</p>"
    if not run.odd:
        return "<p>No provider: their answers agree as far as these prompts can tell.</p>"
    return "".join(_oddity(run, odd) for odd in run.odd)


def _oddity(run: Run, odd: Odd) -> str:
    found = "".join(_evidence(run, f, shown=at < _OPEN) for at, f in enumerate(odd.findings))
    return (
        f'<div class="card flag"><h3>{escape(odd.provider)}</h3><p>{escape(odd.reason)}.</p>'
        f"{found}</div>"
    )


def _evidence(run: Run, finding: Finding, *, shown: bool) -> str:
    asked = next((p for p in run.prompts if p.name == finding.prompt), None)
    shows = f", which shows {escape(asked.looks_at)}" if asked and asked.looks_at else ""
    rows = [("odd", finding.provider, finding.said)]
    for said in dict.fromkeys(finding.peers.values()):
        names = [name for name, text in finding.peers.items() if text == said]
        rows.append(("", ", ".join(names), said))
    prompt = f"<dt>asked</dt><dd><pre>{escape(asked.text)}</pre></dd>" if asked else ""
    return (
        f"<details{' open' * shown}><summary><b>{escape(finding.prompt)}</b>{shows}: {escape(finding.what)}</summary>"
        f"<dl>{prompt}{''.join(_said(*row) for row in rows)}</dl></details>"
    )


def _said(kind: str, who: str, text: str) -> str:
    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    return (
        f'<dt class="{kind}">{escape(who)}</dt><dd><pre>{escape(shown) or "(nothing)"}</pre></dd>'
    )


def _table(rows: Sequence[Figures]) -> str:
    heads = (
        "provider", "first token<br>p50", "<br>p95", "tokens/s<br>p50", "<br>slow 5 %", "total<br>p50",
        "<br>p95", "failed", "right", "like its<br>peers", "same", "a call",
        "$ in<br>a million", "$ out<br>a million",
    )  # fmt: skip
    best = {
        "first": _best(rows, lambda r: r.first_token, min),
        "speed": _best(rows, lambda r: r.throughput, max),
        "total": _best(rows, lambda r: r.total, min),
        "cost": _least_cost(rows),
    }

    def cells(row: Figures) -> Iterable[Cell]:
        yield "", row.provider
        yield from _pair(row.first_token, lambda v: f"{seconds(v)} s", best["first"])
        yield from _pair(row.throughput, speed, best["speed"])
        yield from _pair(row.total, lambda v: f"{seconds(v)} s", best["total"])
        yield "worse" if row.failed else "", f"{row.failed}/{row.calls}"
        yield "", f"{row.right}/{row.judged}" if row.judged else UNKNOWN
        yield "", share(row.similarity)
        yield "", share(row.exact)
        priced = UNKNOWN if row.cost is None else f"${dollars(row.cost)}"
        yield "best" if row.cost is not None and row.cost == best["cost"] else "", priced
        yield "", dollars(row.input_price)
        yield "", dollars(row.output_price)

    body = "".join(
        f'<tr class="{"odd" if row.odd else ""}">{"".join(map(_td, cells(row)))}</tr>'
        for row in rows
    )
    head = "".join(f"<th>{text}</th>" for text in heads)
    return f'<div class="card scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _best(
    rows: Sequence[Figures], of: Callable[[Figures], Spread | None], pick: Callable[..., float]
) -> float | None:
    known = [spread.p50 for row in rows if not row.odd and (spread := of(row)) is not None]
    return pick(known) if len(known) > 1 else None


def _least_cost(rows: Sequence[Figures]) -> Decimal | None:
    known = [row.cost for row in rows if row.cost is not None and not row.odd]
    return min(known) if len(known) > 1 else None


def _pair(
    spread: Spread | None, write: Callable[[float | None], str], best: object
) -> Iterable[Cell]:
    if spread is None:
        return [("", UNKNOWN), ("", UNKNOWN)]
    return [("best" if spread.p50 == best else "", write(spread.p50)), ("", write(spread.p95))]


def _td(cell: Cell) -> str:
    kind, text = cell
    return f'<td class="{kind}">{escape(text)}</td>'


def _failures(run: Run, rows: Iterable[Figures]) -> str:
    lines: list[str] = []
    for row in rows:
        for name, count in row.errors.items():
            first = next(s for s in run.of(row.provider) if s.error == name)
            lines.append(
                f'<tr><td>{escape(row.provider)}</td><td>{count}</td><td class="name">{escape(name)}</td>'
                f'<td class="words">{escape(first.message[:_SHOWN])}</td></tr>'
            )
    if not lines:
        return ""
    head = '<th>failures</th><th>calls</th><th class="name">error</th><th class="words">the first said</th>'
    return (
        '<div class="card scroll next"><table><thead><tr>'
        f"{head}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
    )


def _left_out(run: Run) -> str:
    skipped = [f"{p.provider}: {p.skipped}" for p in run.places if p.skipped is not None]
    said = f"Not asked: {'; '.join(skipped)}." if skipped else ""
    return "".join(f'<p class="sub">{escape(text)}</p>' for text in (said, *run.notes) if text)


def _plots(run: Run, rows: Sequence[Figures]) -> str:
    names = [row.provider for row in rows]
    odd = {row.provider for row in rows if row.odd}
    times = [Strip(n, numbers(run.of(n), FIRST_TOKEN), n in odd) for n in names]
    speeds = [Strip(n, numbers(run.of(n), THROUGHPUT), n in odd) for n in names]
    dots = [
        Dot(row.provider, float(row.cost), row.throughput.p50, row.provider in odd)
        for row in rows
        if row.cost is not None and row.throughput is not None
    ]
    near = {(pair.first, pair.second): pair.similarity for pair in run.pairs}

    def likeness(one: str, other: str) -> float | None:
        return near.get((one, other), near.get((other, one)))

    drawn = [
        ("Time to first token", strips(times, "seconds", lambda v: f"{v:g}")),
        (
            "Tokens a second, after the first",
            strips(speeds, "tokens a second", lambda v: f"{v:,.0f}"),
        ),
    ]
    if dots:
        plane = scatter(
            dots, ("dollars a call", "tokens a second"), (_money, lambda v: f"{v:,.0f}")
        )
        drawn.append(("Cost and speed", plane))
    if run.pairs:
        drawn.append(("How alike the answers are", matrix(names, likeness, "agreement of answers")))
    cards = (f'<div class="card"><h3>{title}</h3>{plot}</div>' for title, plot in drawn)
    return f'<div class="plots">{"".join(cards)}</div>'


def _money(value: float) -> str:
    return f"${Decimal(dollars(value, 2)).normalize():f}"


def _changes(changes: Sequence[Change]) -> str:
    """Return the changes beyond noise, and the others folded away."""
    if not changes:
        return "<p>No provider was asked in both runs.</p>"
    moved = [change for change in changes if change.beyond_noise]
    rest = [change for change in changes if not change.beyond_noise]
    shown = _change_table(moved) if moved else "<p>Nothing has moved by more than noise.</p>"
    if not rest:
        return shown
    return (
        f"{shown}<details><summary>{len(rest)} numbers that moved within noise, or of too few "
        f"samples</summary>{_change_table(rest)}</details>"
    )


def _change_table(changes: Iterable[Change]) -> str:
    body = "".join(f"<tr>{''.join(map(_td, _change_cells(change)))}</tr>" for change in changes)
    heads = ("provider", "what", "before", "now", "difference", "95 % interval", "")
    head = "".join(f"<th>{text}</th>" for text in heads)
    return (
        f'<div class="card scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _change_cells(change: Change) -> list[Cell]:
    def write(value: float | None) -> str:
        if value is None:
            return UNKNOWN
        return share(value) if change.unit == "share" else f"{value:.3g}"

    kind = ("better" if change.better else "worse") if change.beyond_noise else ""
    said = {True: kind, False: "within noise", None: "too few to say"}[change.beyond_noise]
    name = f"{change.name}, {change.unit}" if change.unit in ("s", "$") else change.name
    told = [write(value) for value in (change.before, change.now, change.difference)]
    between = UNKNOWN if change.low is None else f"{write(change.low)} to {write(change.high)}"
    return [
        ("", change.provider),
        ("", name),
        *(("", n) for n in told),
        ("", between),
        (kind, said),
    ]


def _answers(run: Run, prompt: Asked) -> str:
    """Return one prompt's answers, those that are the same together."""
    said: dict[str, list[Sample]] = {}
    for sample in run.samples:
        if sample.prompt == prompt.name and sample.answer is not None:
            said.setdefault(normal(sample.answer.shown()), []).append(sample)
    rows = [
        _said("odd" if group[0].wrong else "", _who(group), group[0].answer.shown())
        for group in sorted(said.values(), key=len, reverse=True)
        if group[0].answer is not None
    ]
    expected = "" if prompt.expected is None else _said("", "expected", prompt.expected)
    kinds = f"{len(rows)} answer{'s'[: len(rows) != 1]}"
    return (
        f"<details><summary><b>{escape(prompt.name)}</b>"
        f'<span class="sub"> {escape(prompt.looks_at)}, {kinds}</span></summary>'
        f"<dl>{_said('', 'asked', prompt.text)}{expected}{''.join(rows)}</dl></details>"
    )


def _who(group: Sequence[Sample]) -> str:
    counts: dict[str, int] = {}
    for sample in group:
        counts[sample.provider] = counts.get(sample.provider, 0) + 1
    return ", ".join(f"{name} ({n} times)" if n > 1 else name for name, n in counts.items())


def _manner(run: Run) -> str:
    settings = run.settings
    return (
        f"<p>{len(run.prompts)} prompts, {settings.runs} runs, temperature 0, at most "
        f"{settings.max_tokens} tokens an answer, {settings.concurrency} calls at a time, "
        f"{settings.timeout:g} s for a call; streamed, and tried once, so that failures show. Times are "
        "from this machine's seat, network included. Tokens a second are counted from the first token "
        "on. Alike is the similarity of two answers word by word, normalised; same is the part that is "
        "equal. A provider stands out where it is always wrong while most others are right, or apart "
        "from the most that agree.</p>"
        f'<p class="sub">Prices: {escape(run.catalog)}.</p>'
    )
