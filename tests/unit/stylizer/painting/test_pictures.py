"""A picture that stays is painted once; every frame is in the segment all the same."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest

from shared.contracts.manifest import GridShift, Place
from shared.contracts.messages import ChunkReady
from shared.contracts.style_request import StyleRequest
from shared.media.chunks import ChunkWriter, read_chunk
from shared.media.encodings import SEGMENT
from shared.styles.gallery import Gallery
from stylizer.painting.chunk import paint_chunk, paint_picture
from stylizer.painting.engine import OnnxEngine
from stylizer.painting.frames import Canvas, Frames
from tests.unit.stylizer.painting.test_chunk import chunk_of

TICK = 1001
SIZE = (96, 64)


def chunk(shown: Sequence[int], **style: object) -> tuple[ChunkReady, bytes]:
    """Return a chunk whose frame k is still picture number ``shown[k]``, and its event."""
    pictures = np.random.default_rng(7).integers(0, 256, (max(shown) + 1, 8, 12), np.uint8)
    stills = (pictures[number].repeat(8, axis=0).repeat(8, axis=1) for number in shown)
    event, mezzanine = chunk_of(stills, [TICK * number for number in range(len(shown))], *SIZE)
    request = StyleRequest.model_validate({"style": "udnie", **style})
    return event.model_copy(update={"style": request}), mezzanine


class Counting:
    """Paints with the real network, and counts the frames."""

    def __init__(self) -> None:
        self.engine = OnnxEngine(Gallery(), "cpu")
        self.painted = 0

    def __call__(self, style: str, frames: Frames, canvas: Canvas, *, passing: bool) -> Frames:
        self.painted += len(frames)
        return self.engine.paint(style, frames, canvas, passing=passing)


@pytest.fixture(scope="module")
def engine() -> Counting:
    return Counting()


def painted(engine: Counting, event: ChunkReady, mezzanine: bytes, batch: int = 1) -> int:
    """Return how many frames the network paints of a chunk, whose segment must have them all."""
    engine.painted = 0
    segment = paint_chunk(event, mezzanine, engine, batch=batch, encoding=SEGMENT)
    frames = list(read_chunk(segment, frames=event.chunk.frames))
    assert [frame.pts for frame in frames] == [TICK * k for k in range(event.chunk.frames)]
    return engine.painted


@pytest.mark.parametrize("batch", [1, 4])
def test_a_picture_that_stays_is_painted_once(engine: Counting, batch: int) -> None:
    event, mezzanine = chunk([0] * 9 + [1] * 6 + [0])
    # A chunk is encoded: the first repetition of a picture may be a little nearer to the source.
    decoded = [frame.to_ndarray().tobytes() for frame in read_chunk(mezzanine)]
    changes = sum(before != after for before, after in pairwise(decoded))
    assert 2 <= changes <= 4
    assert painted(engine, event, mezzanine, batch) == 1 + changes


def test_the_segment_is_the_same_as_if_every_frame_were_painted(engine: Counting) -> None:
    event, mezzanine = chunk([0, 0, 1, 1, 1, 2, 2, 0], strength=0.6, preserve_color=True)
    width, height = SIZE
    writer = ChunkWriter(SEGMENT, width=width, height=height, time_base=event.time_base)
    for number, frame in enumerate(read_chunk(mezzanine)):
        alone = paint_picture(frame, engine, event.style)
        alone.pts = TICK * number
        writer.write(alone)

    segment = paint_chunk(event, mezzanine, engine, batch=1, encoding=SEGMENT)
    assert segment == writer.close(event.chunk.duration)


@pytest.mark.parametrize(
    "moved",
    [
        {"canvas": tuple(Place(0, 4 * k) for k in range(4))},
        {"grid": tuple(GridShift(0, k) for k in range(4))},
    ],
)
def test_a_picture_that_is_elsewhere_is_painted_again(
    engine: Counting, moved: dict[str, object]
) -> None:
    event, mezzanine = chunk([0] * 6)
    there = event.model_copy(update={"chunk": dataclasses.replace(event.chunk, **moved)})
    assert painted(engine, there, mezzanine) == 4


def test_a_picture_is_painted_in_every_step_of_a_fade(engine: Counting) -> None:
    event, mezzanine = chunk([0] * 6, style="udnie@0s,great-wave@0.1s", fade=0.1)
    schedule = event.style.schedule
    looks = {schedule.look_at(event.shown_at(TICK * number)) for number in range(6)}
    assert len(looks) > 2
    assert painted(engine, event, mezzanine) == len(looks)
