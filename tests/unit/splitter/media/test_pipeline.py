"""Any number of threads gives the same output, and leaves no thread behind."""

from __future__ import annotations

import io
import threading
import time
from collections import Counter
from fractions import Fraction
from itertools import islice

import av
import av.error
import pytest
from videos import Sound, Video, number_picture

from shared.contracts.errors import SourceRefused
from shared.contracts.manifest import NO_BARS, Source
from shared.media.chunks import read_chunk
from splitter.media import pipeline
from splitter.media.chunking import ChunkBuilder, ChunkFile
from splitter.media.crew import ALONE, Crew
from splitter.media.cutting import Cutter
from splitter.media.limits import Limits
from splitter.media.normalise import Normaliser
from splitter.media.part import Part
from splitter.media.pipeline import encoded
from splitter.media.split import SplitEnd, SplitOptions, split
from tests.unit.splitter.media.test_bars import letterboxed
from tests.unit.splitter.media.test_deinterlace import woven

SHORT = SplitOptions(chunk_frames=8, first_chunk_frames=2)
TICK = Fraction(1, 30)
THREADS = (2, 4, 8)


def panned(number, width, height):
    return number_picture(600, 4 * width, height)[:, 3 * number : 3 * number + width]


def torn(data):
    """A file with a hole in its pictures."""
    middle = len(data) // 2
    return data[:middle] + bytes(300) + data[middle + 300 :]


LETTERBOX = Video(frames=40, size=(128, 128), draw=letterboxed)
WOVEN = {"options": {"qp": "2", "bf": "0", "flags": "+ildct+ilme"}, "draw": woven}
WHOLE = {
    "sound": Video(frames=40, sounds=[Sound(), Sound("libopus")], format="matroska"),
    "irregular times": Video(pts=[0, 10, 30, 31, 400, 401, 5000, 5001, 5002, 90000, 90007]),
    "transport stream": Video(frames=40, format="mpegts", sounds=[Sound("mp2")]),
    "odd and upright": Video(
        frames=20, size=(63, 49), pixel_format="yuv444p", rotation=(90, False, False)
    ),
    "ten bits": Video(frames=20, pixel_format="yuv420p10le"),
    "GIF": Video(frames=20, format="gif", codec="gif", pixel_format="gray", options={},
                 time_base=TICK, pts=range(20)),
    "bars": LETTERBOX,
    "interlaced": Video(frames=20, size=(160, 64), **WOVEN),
    "camera": Video(frames=40, size=(320, 180), draw=panned),
    "one frame": Video(frames=1),
}  # fmt: skip
BROKEN = {
    "mp4": (torn, Video(frames=60)),
    "transport stream": (torn, Video(frames=60, format="mpegts")),
    "matroska": (torn, Video(frames=60, format="matroska", sounds=[Sound()])),
    "cut off": (lambda data: data[: len(data) * 2 // 3], Video(frames=60, format="matroska")),
}
REFUSED = {
    "TOO_MANY_FRAMES": (SplitOptions(chunk_frames=8, limits=Limits(max_frames=21)),
                        Video(format="matroska"), 3),
    "BAD_RESOLUTION": (SplitOptions(limits=Limits(min_side=50)), Video(frames=9), 0),
    "NOT_A_VIDEO": (SHORT, Video(frames=1, format="apng", codec="apng", pixel_format="gray",
                                 options={}), 0),
    "NOTHING_TO_PAINT": (SplitOptions(part=Part(start_ms=9000)), Video(frames=9), 0),
}  # fmt: skip


def outcome(data, options, crew, side):
    """Return all that comes of a split: its events, its error, and the other tracks."""
    events, error = [], None
    try:
        for event in split(io.BytesIO(data), options, side, crew):
            events.append(event)  # noqa: PERF402 - what came before an error counts
    except SourceRefused as refusal:
        error = (refusal.code, str(refusal))
    return events, error, side.read_bytes() if side.exists() else None


@pytest.fixture
def same(tmp_path):
    """Split on one thread and on several, and return what is common to all."""

    def run(data, options=SHORT):
        alone = outcome(data, options, ALONE, tmp_path / "side")
        for threads in THREADS:
            with Crew(threads) as crew:
                assert outcome(data, options, crew, tmp_path / f"side-{threads}") == alone
        return alone

    return run


@pytest.mark.parametrize("kind", WHOLE)
def test_any_number_of_threads_gives_the_same_bytes(same, kind):
    events, error, _ = same(WHOLE[kind].make())
    assert error is None
    assert isinstance(events[-1], SplitEnd)


@pytest.mark.parametrize("kind", BROKEN)
def test_damage_is_reported_alike(same, kind):
    spoil, video = BROKEN[kind]
    events, _, _ = same(spoil(video.make()))
    assert events[-1].damaged


@pytest.mark.parametrize("code", REFUSED)
def test_a_refusal_comes_after_the_same_events(same, code):
    options, video, events = REFUSED[code]
    found, error, side = same(video.make(), options)
    assert error[0] == code
    assert len(found) == events
    assert side is None


def test_an_encoder_s_error_comes_after_the_chunks_before_it(monkeypatch):
    # Given an encoder that gives up in the third chunk
    write = ChunkFile.write

    def failing(file, frame):
        files.setdefault(id(file), file)
        if file is next(islice(files.values(), 2, None), None):
            raise av.error.ExternalError(542398533, "Generic error")
        write(file, frame)

    files = {}
    monkeypatch.setattr(ChunkFile, "write", failing)
    with Crew(4) as crew:
        chunks = encoded(pictures(40), cutter_for(4), crew, 2**30)
        # Then the first two come before the error
        assert [next(chunks).chunk.index for _ in range(2)] == [0, 1]
        with pytest.raises(av.error.ExternalError):
            next(chunks)


def test_a_picture_s_error_is_not_lost_when_the_file_ends_at_that_moment(monkeypatch):
    # Given a picture that cannot be converted, and a file that ends before that is known
    reads_on, has_failed, has_ended = (threading.Event() for _ in range(3))
    line = pipeline._Pipeline
    read_one, cut_one = line._read_one, line._cut_one

    def read_and_tell(self):
        read_one(self)
        if self._reading.is_over:
            has_ended.set()

    def cut_and_tell(self):
        cut_one(self)
        has_failed.set()
        assert has_ended.wait(60)

    def refuse(_cutter, _frame):
        assert reads_on.wait(60)
        raise SourceRefused("UNSUPPORTED_PICTURE", "it cannot be converted")

    def frames():
        yield from pictures(1)
        reads_on.set()
        assert has_failed.wait(60)

    monkeypatch.setattr(line, "_read_one", read_and_tell)
    monkeypatch.setattr(line, "_cut_one", cut_and_tell)
    monkeypatch.setattr(Cutter, "take", refuse)
    with Crew(2) as crew, pytest.raises(SourceRefused, match="cannot be converted"):
        list(encoded(frames(), cutter_for(4), crew, 2**30))


def pictures(count, size=(64, 48)):
    for number in range(count):
        frame = av.VideoFrame.from_ndarray(number_picture(number, *size), format="gray")
        frame = frame.reformat(format="yuv420p")
        frame.pts = number
        yield frame


def cutter_for(chunk_frames):
    source = Source(
        width=64, height=48, coded_width=64, coded_height=48, codec="h264", time_base=TICK
    )
    builder = ChunkBuilder(
        source,
        first_frames=chunk_frames,
        most_frames=chunk_frames,
        scale=Fraction(1),
        find_bars=lambda: NO_BARS,
    )
    return Cutter(Normaliser(next(pictures(1))), builder, lambda: 10**6)


@pytest.mark.parametrize("most", [1, 6])
def test_frames_in_flight_are_bounded_by_their_bytes(monkeypatch, most):
    size = sum(plane.buffer_size for plane in next(pictures(1)).planes)
    counts, write = Counter(), ChunkFile.write

    def counted(file, frame):
        write(file, frame)
        counts["written"] += 1

    def frames():
        for frame in pictures(200):
            counts["read"] += 1
            counts["peak"] = max(counts["peak"], counts["read"] - counts["written"])
            yield frame

    monkeypatch.setattr(ChunkFile, "write", counted)
    with Crew(4) as crew:
        chunks = list(encoded(frames(), cutter_for(4), crew, most * size))
    assert len(chunks) == 50
    # (One more may be read while the others are as many as may be.)
    assert counts["peak"] <= most + 1


def test_one_thread_encodes_a_few_frames_in_a_row_but_no_chunk_waits_for_the_next(monkeypatch):
    written, read, write = [], [], ChunkFile.write

    def counted(file, frame):
        write(file, frame)
        written.append(len(read))

    def frames():
        for frame in pictures(40):
            read.append(frame)
            yield frame

    monkeypatch.setattr(ChunkFile, "write", counted)
    monkeypatch.setattr(pipeline, "_BATCH_PIXELS", 3 * 64 * 48)
    chunks = encoded(frames(), cutter_for(8), ALONE, 2**30)
    next(chunks)
    # Then one frame beyond the chunk, which tells when it ends, was read, and three at a time
    assert written == [3, 3, 3, 6, 6, 6, 9, 9]
    assert [chunk.chunk.frames for chunk in chunks] == [8] * 4
    assert len(written) == 40


def test_a_slow_consumer_keeps_the_threads_waiting():
    threads, length, counts = 4, 4, Counter()

    def frames():
        for frame in pictures(160):
            counts["read"] += 1
            counts["ahead"] = max(counts["ahead"], counts["read"] - length * counts["taken"])
            yield frame

    with Crew(threads) as crew:
        for chunk in encoded(frames(), cutter_for(length), crew, 2**30):
            counts["taken"] += 1
            assert len(list(read_chunk(chunk.data))) == length
            time.sleep(0.02)  # all that may be done meanwhile is done by then
    # The consumer has a chunk, each thread another, and beyond that a few frames are read ahead
    assert counts["ahead"] <= (1 + threads) * length + 2 * threads + 2


def test_a_consumer_that_walks_away_leaves_no_thread_at_work(tmp_path):
    before = threading.active_count()
    with Crew(4) as crew:
        assert threading.active_count() == before + 4
        data = io.BytesIO(Video(frames=200).make())
        events = split(data, SHORT, tmp_path / "side", crew)
        next(events)
        next(events)
        events.close()
        # Then they are free for another video
        again = list(split(data, SHORT, tmp_path / "side", crew))
    assert again[-1].frames == 200
    assert threading.active_count() == before
