"""A message that no honest decoder sends ends the job before it costs memory, blobs or events."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from shared.contracts.manifest import Chunk, GridShift, Place, Source
from splitter.decoder.bounds import Bounds
from splitter.decoder.wire import GarbageError, Job
from splitter.media.chunking import EncodedChunk
from splitter.media.limits import Limits
from splitter.media.split import SplitEnd, SplitOptions

MIB = 2**20
FOLDER = Path(__file__).parent
SOURCE = Source(
    width=64, height=48, coded_width=64, coded_height=48, codec="h264", time_base=Fraction(1, 30)
)
OPTIONS = SplitOptions(chunk_frames=8, first_chunk_frames=8, limits=Limits(max_frames=100))


def bounds(size: int = 3 * MIB) -> Bounds:
    return Bounds(Job(size, OPTIONS, FOLDER / "side"))


def chunk(index: int = 0, frames: int = 8, first_frame: int | None = None, **more) -> EncodedChunk:
    values = {"first_pts": 0, "duration": frames, "pts_digest": "0" * 32, **more}
    first = 8 * index if first_frame is None else first_frame
    return EncodedChunk(Chunk(index=index, first_frame=first, frames=frames, **values), b"")


def told(*events) -> None:
    found = bounds()
    for event in events:
        found.check_event(event)


def test_a_whole_split_is_let_through():
    ways = [(4 * n, -n) for n in range(8)]
    moving = chunk(1, canvas=[Place(*w) for w in ways], grid=[GridShift(*w) for w in ways])
    told(SOURCE, chunk(0), moving, chunk(2, 3), SplitEnd(19, 3, ()))


@pytest.mark.parametrize(
    "events",
    [
        [chunk(0)],
        [SOURCE, SOURCE],
        [SOURCE.model_copy(update={"width": 63})],
        [SOURCE.model_copy(update={"height": 0})],
        [SOURCE.model_copy(update={"width": 16386})],
        [SOURCE.model_copy(update={"time_base": Fraction(0)})],
        [SOURCE, chunk(1)],
        [SOURCE, chunk(0), chunk(0)],
        [SOURCE, chunk(0), chunk(1, first_frame=7)],
        [SOURCE, chunk(0, 0)],
        [SOURCE, chunk(0, 9)],
        [SOURCE, chunk(0, -1)],
        [SOURCE, *(chunk(i) for i in range(13))],
        [SOURCE, *(chunk(i, 1, first_frame=i) for i in range(45))],
        [SOURCE, chunk(0, duration=0)],
        [SOURCE, chunk(0, first_pts=2**63)],
        [SOURCE, chunk(0, pts_digest="0" * 10_000)],
        [SOURCE, chunk(0, canvas=[Place(0, 0)] * 9)],
        [SOURCE, chunk(0, canvas=[Place(0, -(2**31))])],
        [SOURCE, chunk(0, grid=[GridShift(0, 0)] * 9)],
        [SOURCE, chunk(0, grid=[GridShift(2**31, 0)])],
        [SOURCE, SplitEnd(0, 0, ())],
        [SOURCE, chunk(0), SplitEnd(9, 1, ())],
        [SOURCE, chunk(0), SplitEnd(8, 2, ())],
        [SOURCE, chunk(0), SplitEnd(8, 1, (), "../" + "0" * 61)],
    ],
)
def test_a_message_that_contradicts_itself_is_garbage(events):
    told(*events[:-1])
    with pytest.raises(GarbageError):
        told(*events)


@pytest.mark.parametrize("offset", [0, MIB, 2 * MIB])
def test_every_block_of_the_upload_may_be_asked_for(offset):
    bounds().check_range(offset, MIB)


def test_the_last_block_may_be_shorter(tmp_path):
    Bounds(Job(MIB + 7, SplitOptions(), tmp_path / "side")).check_range(MIB, 7)


@pytest.mark.parametrize(
    ("offset", "length"),
    [
        *[(0, 0), (0, MIB + 1), (3 * MIB, 1), (2 * MIB + 1, MIB), (2**64 - 1, 2**32 - 1)],
        # Byte by byte, each would be a request to storage, and its digest would stay in memory
        *[(0, 1), (1, MIB), (3 * MIB - 1, 1)],
    ],
)
def test_nothing_else_may_be_asked_for(offset, length):
    with pytest.raises(GarbageError):
        bounds().check_range(offset, length)


def test_a_folder_filled_with_files_is_noticed(tmp_path):
    limits = Limits(side_bytes=MIB)
    found = Bounds(Job(MIB, SplitOptions(limits=limits), tmp_path / "side"))
    for name in ("one", "two"):
        (tmp_path / name).touch()
        os.truncate(tmp_path / name, 33 * MIB)
        if name == "one":
            found.check_range(0, MIB)
    with pytest.raises(GarbageError, match="filled its folder"):
        found.check_range(0, MIB)


def test_a_folder_of_very_many_files_is_noticed(tmp_path):
    # Each would be looked at again and again, however little is in it
    found = Bounds(Job(MIB, SplitOptions(), tmp_path / "side"))
    for number in range(64):
        (tmp_path / str(number)).touch()
    found.check_range(0, MIB)
    (tmp_path / "one more").touch()
    with pytest.raises(GarbageError, match="more than 64 files"):
        found.check_range(0, MIB)


def test_files_may_come_and_go_while_their_folder_is_looked_at(tmp_path):
    found = Bounds(Job(MIB, SplitOptions(), tmp_path / "side"))
    over = threading.Event()

    def try_tracks() -> None:
        while not over.is_set():
            (tmp_path / "trial").touch()
            (tmp_path / "trial").unlink()

    trying = threading.Thread(target=try_tracks)
    trying.start()
    try:
        for _ in range(20_000):
            found._check_disk()
    finally:
        over.set()
        trying.join()


def test_a_message_may_be_as_large_as_its_pictures_and_no_larger():
    found = bounds()
    found.check_sizes(1000, 0)
    with pytest.raises(GarbageError, match="too long"):
        found.check_sizes(1000, 1)
    found.check_event(SOURCE)
    found.check_sizes(1000, 8 * 64 * 48 * 3 // 2)
    for header, payload in ((256 * 1024 + 1, 0), (1000, MIB)):
        with pytest.raises(GarbageError, match="too long"):
            found.check_sizes(header, payload)


def test_the_largest_picture_s_chunk_is_bounded_too():
    found = Bounds(Job(1, replace(OPTIONS, chunk_frames=1024), FOLDER / "side"))
    found.check_event(SOURCE.model_copy(update={"width": 16384, "height": 16384}))
    with pytest.raises(GarbageError):
        found.check_sizes(1000, 512 * MIB + 1)


def test_noise_at_the_mezzanine_s_quality_stays_below_the_bound(split_video, make):
    # Given pictures that no encoder makes small
    import numpy as np

    noise = np.random.default_rng(1)
    data = make.Video(
        frames=16,
        size=(64, 48),
        options={"crf": "1", "preset": "ultrafast"},
        draw=lambda _, width, height: noise.integers(0, 256, (height, width), np.uint8),
    ).make()
    options = SplitOptions(chunk_frames=8, first_chunk_frames=8)
    found = Bounds(Job(len(data), options, FOLDER / "side"))
    split = split_video(data, options)
    for event in (split.source, *split.chunks, split.end):
        if isinstance(event, EncodedChunk):
            found.check_sizes(1000, len(event.data))
        found.check_event(event)
