"""The report: whole in one file, escaped, and with plots that show the values."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import msgspec
import pytest
from bench_runs import SEA, SKY, judged, run_of, sample
from hypothesis import given, settings
from hypothesis import strategies as st

from trials import often
from trunkline.bench.against import compare
from trunkline.bench.page import page
from trunkline.bench.svg import Axis, Dot, Strip, matrix, scatter, strips
from trunkline.bench.values import Place

EVIL = "<script>alert(1)</script>\"'&<img src=x onerror=alert(1)>"
OPEN = {"meta", "br"}


class Nesting(HTMLParser):
    """Looks whether every element is closed, and notes what could run or be fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.found += [f"{tag} {name}" for name, _ in attrs if name.startswith("on")]
        self.found += [f"{tag} {n}={v}" for n, v in attrs if n in ("src", "href") and v != "#odd"]
        if tag not in OPEN:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def read(text: str) -> Nesting:
    parser = Nesting()
    parser.feed(text)
    parser.close()
    assert parser.open == []
    return parser


def full() -> list:
    texts = {"groq": SKY, "novita": SEA, "cerebras": SKY}
    made = [sample(n, p, t) for p in "ab" for n, t in texts.items()]
    made += [judged(n, "sum", right=n != "novita") for n in texts]
    return [*made, sample("together", error="Timeout", message=EVIL)]


def test_the_page_is_whole_fetches_nothing_and_runs_nothing() -> None:
    text = page(run_of(full()))
    parser = read(text)
    assert parser.found == []
    assert parser.tags & {"script", "iframe", "link", "object", "img"} == set()
    assert "default-src 'none'" in text
    assert "url(" not in text and "@import" not in text
    assert text.count("<svg") == 4


def test_whatever_a_model_says_is_text() -> None:
    run = run_of([sample(EVIL, EVIL, EVIL), sample("b", EVIL, SKY), sample("c", EVIL, SKY)])
    run = msgspec.structs.replace(
        run, model=EVIL, router=EVIL, notes=(EVIL,),
        places=(*run.places, Place("d", skipped=EVIL)),
    )  # fmt: skip
    parser = read(page(run, compare(run, run), run))
    assert parser.found == []
    assert parser.tags & {"script", "img"} == set()


@settings(max_examples=often(8))
@given(st.text(max_size=40), st.text(max_size=40))
def test_any_text_leaves_the_page_whole(name: str, said: str) -> None:
    parser = read(page(run_of([sample(name, said, said), sample("b", said, SKY)])))
    assert parser.tags & {"script", "img"} == set()


def test_it_says_who_stands_out_and_shows_what_was_said() -> None:
    text = page(run_of(full()))
    assert "novita stands out" in text
    assert "wrong where its peers are right: sum" in text
    assert "&#x27;42&#x27; is not in it" in text
    assert '<tr class="odd"><td class="">novita</td>' in text
    assert "Timeout" in text
    calm = page(run_of([sample(p, q) for p in "abc" for q in "xy"]))
    assert "No provider: their answers agree" in calm


def test_a_run_without_an_answer_has_a_page_too() -> None:
    text = page(run_of([sample("a", error="Timeout")]))
    read(text)
    assert "no answer" in text


def test_one_provider_has_nobody_to_be_compared_with() -> None:
    text = page(run_of([sample("a")]))
    assert "nobody to compare with" in text and "1 provider, 1 calls" in text
    assert 'class="best"' not in text


def test_changes_beyond_noise_are_shown_and_the_others_folded() -> None:
    def run(time: float) -> object:
        return run_of(sample("a", run=n, first_token=time + n / 1000) for n in range(6))

    before, now = run(0.1), run(0.5)
    text = page(now, compare(before, now), before)
    read(text)
    shown, _, folded = text.partition("moved within noise")
    assert "first token, s" in shown and '<td class="worse">worse</td>' in shown
    assert "total, s" in folded


def drawn(svg: str) -> ET.Element:
    return ET.fromstring(svg)  # noqa: S314 - it is our own


def test_strips_have_a_dot_for_each_value_within_the_picture() -> None:
    rows = [Strip("a", [0.1, 0.2, 0.3]), Strip(EVIL, [0.5], odd=True), Strip("c", [])]
    root = drawn(strips(rows, "seconds", str))
    dots = list(root.iter("circle"))
    assert len(dots) == 4
    width = float(root.get("width", "0"))
    assert all(0 <= float(dot.get("cx", "-1")) <= width for dot in dots)
    places = [float(dot.get("cx", "0")) for dot in dots[:3]]
    assert places == sorted(places)
    assert any(e.text == "no answer" for e in root.iter("text"))


def test_labels_of_a_plane_do_not_lie_on_one_another() -> None:
    dots = [Dot(f"name {n}", 1.0 + n % 3 / 9, 5.0 + n % 2 / 9) for n in range(9)]
    root = drawn(scatter(dots, ("x", "y"), (str, str)))
    labels = [e for e in root.iter("text") if e.get("class") == "label"]
    assert len(labels) == 9
    boxes = []
    for label in labels:
        x, wide = float(label.get("x", "0")), 7.2 * len(label.text or "")
        start = x if label.get("text-anchor") == "start" else x - wide
        boxes.append((start, start + wide, float(label.get("y", "0"))))
    for at, (a, b, y) in enumerate(boxes):
        for c, d, z in boxes[at + 1 :]:
            assert b <= c or d <= a or abs(y - z) >= 13


def test_a_label_that_has_no_room_is_there_all_the_same() -> None:
    root = drawn(scatter([Dot("x" * 40, 1.0, 5.0) for _ in range(30)], ("x", "y"), (str, str)))
    assert len([e for e in root.iter("text") if e.get("class") == "label"]) == 30


def test_a_matrix_tells_each_pair_and_leaves_out_what_is_not_known() -> None:
    known = {("a", "b"): 0.5, ("b", "a"): 0.5}
    root = drawn(matrix(["a", "b", "c"], lambda x, y: known.get((x, y)), "m"))
    kinds = [e.get("class") for e in root.iter("rect")]
    assert (kinds.count("cell"), kinds.count("none")) == (2, 7)
    assert len([e for e in root.iter("text") if e.text == "50%"]) == 2


@pytest.mark.parametrize("values", [[], [0.0], [5.0], [0.001, 1000.0], [0.0, 0.0, 3.0], [1e-9]])
def test_an_axis_holds_all_its_values(values: list[float]) -> None:
    axis = Axis(values, 10, 110)
    assert all(9.99 <= axis.at(value) <= 110.01 for value in values)
    assert 2 <= len(axis.ticks) <= 16
    assert axis.ticks == sorted(axis.ticks)


@settings(max_examples=often(25))
@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=20))
def test_an_axis_keeps_the_order_of_values(values: list[float]) -> None:
    axis = Axis(values, 0, 100)
    places = [axis.at(value) for value in sorted(values)]
    assert places == sorted(places)
    assert all(-0.01 <= place <= 100.01 for place in places)


def test_the_styles_name_every_class_that_is_drawn() -> None:
    text = page(run_of(full()))
    style = text.partition("<style>")[2].partition("</style>")[0]
    used = {c for group in re.findall(r'class="([^"]*)"', text) for c in group.split()}
    assert {c for c in used if f".{c}" not in style} <= {"words"}
