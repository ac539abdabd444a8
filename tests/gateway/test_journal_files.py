"""Frames and segments as bytes: whatever is torn or damaged, what is whole is read."""

from __future__ import annotations

import logging
import zlib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_side import ended, sent

from trunkline.gateway.journal_files import (
    HEAD,
    MAGIC,
    FolderLock,
    Frame,
    Segment,
    boot_of,
    frame,
    segments,
    set_aside,
)

FRAMES = [[sent(1), sent(2)], [ended(1)], [sent(3), ended(2), ended(3, cost=None)]]


def written(path: Path, *frames: bytes) -> Path:
    path.write_bytes(MAGIC + b"".join(frames))
    return path


def ends() -> list[int]:
    at, found = len(MAGIC), []
    for entries in FRAMES:
        at += len(frame(entries))
        found.append(at)
    return found


def test_what_was_framed_is_read_again_with_where_it_stands(tmp_path: Path):
    path = written(tmp_path / "a-000001.journal", *map(frame, FRAMES))
    read = list(Segment(path).frames())
    assert [one.entries for one in read] == FRAMES
    assert [one.position for one in read] == ends()
    assert [one.began for one in read] == [len(MAGIC), *ends()[:-1]]


def test_a_file_that_ends_at_any_byte_gives_the_frames_that_are_whole(tmp_path: Path):
    whole = MAGIC + b"".join(map(frame, FRAMES))
    path = tmp_path / "a-000001.journal"
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        segment = Segment(path)
        count = sum(end <= size for end in ends())
        assert [one.entries for one in segment.frames()] == FRAMES[:count]
        assert segment.damaged == 0, size


def test_zeros_behind_the_last_frame_are_no_frame(tmp_path: Path):
    # As a file system may leave a file that had grown when the power failed.
    path = written(tmp_path / "a-000001.journal", *map(frame, FRAMES), bytes(5000))
    segment = Segment(path)
    assert [one.entries for one in segment.frames()] == FRAMES
    assert segment.damaged == 0


def test_damage_at_any_byte_costs_the_frame_that_it_is_in(tmp_path: Path):
    whole = MAGIC + b"".join(map(frame, FRAMES))
    path = tmp_path / "a-000001.journal"
    edges = [len(MAGIC), *ends()]
    for place in range(len(MAGIC), len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x41]) + whole[place + 1 :])
        hit = next(n for n, end in enumerate(edges[1:]) if place < end)
        segment = Segment(path)
        left = [entries for n, entries in enumerate(FRAMES) if n != hit]
        assert [one.entries for one in segment.frames()] == left, place
        # Of the last frame, a length that became larger looks as if its end were missing.
        last_head = hit == len(FRAMES) - 1 and place < edges[hit] + 4
        assert segment.damaged == edges[hit + 1] - edges[hit] or last_head, place


def test_a_file_of_another_kind_is_damage_and_not_read(tmp_path: Path):
    path = tmp_path / "a-000001.journal"
    path.write_bytes(b"Dear Ada" + frame(FRAMES[0]))
    segment = Segment(path)
    assert list(segment.frames()) == []
    assert segment.damaged == path.stat().st_size


@given(st.binary(max_size=300), st.integers(0, 400))
def test_no_bytes_make_reading_fail(tmp_path_factory: pytest.TempPathFactory, noise, start):
    path = tmp_path_factory.getbasetemp() / "noise-000001.journal"
    path.write_bytes(MAGIC + noise)
    assert list(Segment(path).frames(start)) == []


@settings(deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=8), st.data())
def test_reading_goes_on_from_any_position_it_gave(
    tmp_path_factory: pytest.TempPathFactory, sizes, data
):
    every = [[ended(100 * n + i) for i in range(size)] for n, size in enumerate(sizes)]
    path = tmp_path_factory.getbasetemp() / "from-000001.journal"
    written(path, *map(frame, every))
    at = data.draw(st.integers(0, len(every) - 1))
    whole = list(Segment(path).frames())
    begun = data.draw(st.integers(0, sizes[at] - 1))
    rest = list(Segment(path).frames(whole[at].began + begun))
    assert [one.entries for one in rest] == [every[at][begun:], *every[at + 1 :]]
    assert list(Segment(path).frames(whole[at].position, whole[at].position)) == []
    assert [one.entries for one in Segment(path).frames(0, whole[at].position)] == every[: at + 1]


def test_a_frame_that_holds_something_else_is_damage(tmp_path: Path):
    other = msgspec.msgpack.encode([1, 2, 3])
    head = HEAD.pack(len(other), zlib.crc32(other))
    path = written(tmp_path / "a-000001.journal", frame(FRAMES[0]), head + other, frame(FRAMES[1]))
    segment = Segment(path)
    assert [one.entries for one in segment.frames()] == FRAMES[:2]
    assert segment.damaged == HEAD.size + len(other)


def test_single_entries_leave_out_what_a_later_one_replaces_and_end_at_the_frames_end():
    one = Frame(50, 500, [sent(1), sent(2), ended(1), ended(3)])
    assert list(one.single()) == [(52, sent(2)), (53, ended(1)), (500, ended(3))]
    assert one.after(52).entries == [ended(1), ended(3)]
    assert list(one.after(52).single()) == [(53, ended(1)), (500, ended(3))]


def test_a_value_that_messagepack_cannot_write_costs_that_value_alone(tmp_path: Path):
    wild = ended(1, model="org/\ud83d", input_price=10**30)
    path = written(tmp_path / "a-000001.journal", frame([wild, ended(2)]))
    (read,) = Segment(path).frames()
    assert read.entries[1] == ended(2)
    assert (read.entries[0].model, read.entries[0].input_price) == ("org/?", 9 * 10**18)
    assert read.entries[0].note == "values that cannot be kept were cut"
    assert (read.entries[0].id, read.entries[0].charged) == (wild.id, wild.charged)


def test_segments_come_in_the_order_in_which_they_were_written(tmp_path: Path):
    for name in ("b-000002", "b-000010", "a-000001", "b-000001"):
        (tmp_path / f"{name}.journal").touch()
    (tmp_path / "lock").touch()
    assert [path.stem for path in segments(tmp_path)] == [
        "a-000001",
        "b-000001",
        "b-000002",
        "b-000010",
    ]
    assert boot_of(segments(tmp_path)[1]) == "b"
    aside = set_aside(segments(tmp_path)[0])
    assert aside.exists()
    assert aside not in segments(tmp_path)


def test_a_folder_has_one_writer_at_a_time(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    first = FolderLock(tmp_path / "new")
    with pytest.raises(BlockingIOError):
        FolderLock(tmp_path / "new")
    first.release()
    first.release()
    FolderLock(tmp_path / "new").release()
