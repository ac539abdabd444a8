"""Marks: told, merged, ended and lifted, written and read; and the file that keeps them."""

from __future__ import annotations

import stat
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trials import often
from trunkline.errors import InvalidResponseError
from trunkline.marked import change_marks, load_marks, marks_file, save_marks
from trunkline.routing.marks import (
    Evidence,
    Mark,
    current,
    lifted,
    merged,
    read_marks,
    shortened,
    standing,
    write_marks,
)
from trunkline.settings import read_settings

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
NOW = NOON.timestamp()
LLAMA = "meta-llama/Llama-3.3-70B-Instruct"


def mark(provider: str = "novita", model: str = LLAMA, **more: object) -> Mark:
    return Mark(provider, model, "other answers", **more)  # type: ignore[arg-type]


def test_a_mark_stands_until_its_end() -> None:
    ending = mark(since=NOON, until=NOON + timedelta(hours=1))
    place = ("novita", LLAMA.lower())
    assert standing([ending], NOW) == {
        place: "marked since 2026-11-29 12:00 UTC: other answers",
    }
    assert standing([ending], NOW + 3600) == {}
    assert current([ending, mark("groq")], NOW + 3600) == (mark("groq"),)


def test_a_mark_without_an_end_stands_until_it_is_lifted() -> None:
    marks = [mark("Novita"), mark("groq"), mark("novita", "org/other")]
    assert list(standing(marks, NOW + 1e9)) == [
        ("novita", LLAMA.lower()), ("groq", LLAMA.lower()), ("novita", "org/other"),
    ]  # fmt: skip
    assert lifted(marks, LLAMA.upper(), ["NOVITA"]) == tuple(marks[1:])
    assert lifted(marks, LLAMA) == (marks[2],)
    assert lifted(marks) == ()


def test_a_mark_that_is_set_again_keeps_since_when_it_is() -> None:
    later = mark(since=NOON + timedelta(hours=1), until=NOON + timedelta(hours=2))
    both = merged([mark(since=NOON)], [later, mark("groq", since=NOON)])
    assert [(m.provider, m.since) for m in both] == [("novita", NOON), ("groq", NOON)]
    assert both[0].until == later.until


@settings(max_examples=often(10))
@given(
    st.lists(
        st.builds(
            Mark,
            st.text(),
            st.text(),
            st.text(),
            st.lists(
                st.builds(Evidence, st.text(), st.text(), st.dictionaries(st.text(), st.text()))
            ).map(tuple),
            st.none() | st.datetimes(timezones=st.just(UTC)),
            st.none() | st.datetimes(timezones=st.just(UTC)),
        )
    )
)
def test_marks_are_read_as_they_were_written(marks: list[Mark]) -> None:
    assert read_marks(write_marks(marks)) == tuple(marks)


@given(st.binary())
def test_what_is_no_file_of_marks_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidResponseError):
        read_marks(data)


def test_marks_of_a_later_version_are_refused() -> None:
    with pytest.raises(InvalidResponseError, match="version 2"):
        read_marks(b'{"version": 2, "marks": []}')


def test_evidence_keeps_the_beginning_and_the_end_of_long_texts() -> None:
    assert shortened("short") == "short"
    cut = shortened("a" * 1000 + "z")
    assert len(cut) <= 400
    assert cut.startswith("aaa") and cut.endswith("z")


def test_the_file_is_the_owners_alone_and_missing_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "new" / "marks.json"
    assert load_marks(path) == ()
    assert load_marks(None) == ()
    save_marks(path, [mark()])
    assert load_marks(path) == (mark(),)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["marks.json"]


def test_a_damaged_file_is_told_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "marks.json"
    path.write_text("{")
    with pytest.raises(InvalidResponseError, match=r"marks\.json"):
        load_marks(path)


def test_no_change_is_lost_when_several_make_one_at_once(tmp_path: Path) -> None:
    path = tmp_path / "marks.json"
    threads = [
        threading.Thread(
            target=change_marks, args=(path, lambda kept, n=n: merged(kept, [mark(f"p{n}")]))
        )
        for n in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(m.provider for m in load_marks(path)) == sorted(f"p{n}" for n in range(12))


def test_each_router_has_marks_of_its_own(tmp_path: Path) -> None:
    home = {"XDG_CACHE_HOME": str(tmp_path)}
    here = {**home, "TRUNKLINE_ROUTER": "http://127.0.0.1:8377/v1"}
    assert marks_file(read_settings(home)) == tmp_path / "trunkline" / "marks.json"
    assert marks_file(read_settings(here)) == tmp_path / "trunkline" / "marks-127.0.0.1-8377.json"
