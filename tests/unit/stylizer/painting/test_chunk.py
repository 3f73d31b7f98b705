"""Painting a chunk: every frame, at its time, whatever its size; and never a chunk gone wrong."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

from shared.contracts.errors import ChunkError
from shared.contracts.manifest import Chunk, Place, pts_digest
from shared.contracts.messages import ChunkReady
from shared.contracts.style_request import StyleRequest
from shared.media.chunks import ChunkWriter, read_chunk
from shared.media.encodings import MEZZANINE, SEGMENT
from stylizer.painting.chunk import paint_chunk
from stylizer.painting.sessions import Canvas, Frames

TIME_BASE = Fraction(1, 30000)


def chunk(pts: list[int], width: int, height: int) -> tuple[ChunkReady, bytes]:
    """Return a chunk whose frame k is a vertical ramp with k at its left edge, and its event."""
    writer = ChunkWriter(MEZZANINE, width=width, height=height, time_base=TIME_BASE)
    for number, time in enumerate(pts):
        grey = np.tile(np.linspace(16 + 5 * number, 235, width, dtype=np.uint8), (height, 1))
        frame = av.VideoFrame.from_ndarray(grey, format="gray").reformat(format="yuv420p")
        frame.pts = time
        writer.write(frame)
    end = pts[-1] + 1001
    event = ChunkReady(
        job_id="j",
        chunk=Chunk(
            index=4,
            first_frame=0,
            frames=len(pts),
            first_pts=0,
            duration=end,
            pts_digest=pts_digest(pts),
        ),
        width=width,
        height=height,
        time_base=TIME_BASE,
        sample_aspect_ratio=Fraction(1),
        style=StyleRequest(style="s"),
    )
    return event, writer.close(end)


def negative(frames: Frames, _canvas: Canvas) -> Frames:
    return 255 - frames


def luma(frame: av.VideoFrame) -> np.ndarray:
    return frame.to_ndarray(format="gray").astype(int)


@pytest.mark.parametrize("size", [(64, 48), (66, 50), (2, 2), (16, 1024 // 64)])
@pytest.mark.parametrize("batch", [1, 3, 8])
def test_every_frame_is_painted_in_order_at_its_time(size: tuple[int, int], batch: int) -> None:
    pts = [0, 1001, 1002, 4004, 9000]
    event, mezzanine = chunk(pts, *size)
    seen: list[tuple[int, ...]] = []

    def paint(frames: Frames, canvas: Canvas) -> Frames:
        seen.append(frames.shape)
        return negative(frames, canvas)

    segment = paint_chunk(event, mezzanine, paint, batch=batch, encoding=SEGMENT)

    painted = list(read_chunk(segment, frames=len(pts)))
    assert [frame.pts * frame.time_base for frame in painted] == [t * TIME_BASE for t in pts]
    assert all((frame.width, frame.height) == size for frame in painted)
    for source, result in zip(read_chunk(mezzanine), painted, strict=True):
        assert np.abs(255 - luma(source) - luma(result)).mean() < 6
    assert sum(shape[0] for shape in seen) == len(pts)
    assert all(shape[0] <= batch and shape[2] % 4 == shape[3] % 4 == 0 for shape in seen)


def test_the_network_sees_repeated_edges_where_the_frame_ends() -> None:
    event, mezzanine = chunk([0], 66, 50)
    seen: list[Frames] = []

    def paint(frames: Frames, _canvas: Canvas) -> Frames:
        seen.append(frames.copy())
        return frames

    paint_chunk(event, mezzanine, paint, batch=1, encoding=SEGMENT)
    (frames,) = seen
    assert frames.shape == (1, 3, 52, 68)
    assert np.array_equal(frames[:, :, 50], frames[:, :, 49])
    assert np.array_equal(frames[..., 67], frames[..., 65])


@pytest.mark.parametrize("batch", [1, 2, 8])
@pytest.mark.parametrize(
    ("told", "places"),
    [
        ((), [[0, 0]] * 4),
        ((Place(3, -4),), [[3, -4]] * 4),
        ((Place(0, 0), Place(8, 1), Place(16, 2)), [[0, 0], [8, 1], [16, 2], [16, 2]]),
    ],
)
def test_every_frame_lies_where_its_chunk_says(
    batch: int, told: tuple[Place, ...], places: list[list[int]]
) -> None:
    event, mezzanine = chunk([0, 1001, 2002, 3003], 64, 48)
    moved = event.chunk.model_copy(update={"canvas": told})
    seen: list[list[int]] = []

    def paint(frames: Frames, canvas: Canvas) -> Frames:
        assert (canvas.dtype, canvas.shape) == (np.int32, (len(frames), 2))
        seen.extend(canvas.tolist())
        return frames

    moving = event.model_copy(update={"chunk": moved})
    paint_chunk(moving, mezzanine, paint, batch=batch, encoding=SEGMENT)
    assert seen == places


def test_the_same_chunk_gives_the_same_bytes() -> None:
    event, mezzanine = chunk([0, 1001, 2002], 64, 48)
    first, second = (
        paint_chunk(event, mezzanine, negative, batch=2, encoding=SEGMENT) for _ in range(2)
    )
    assert first == second


def test_a_chunk_with_other_frames_than_its_event_says_is_refused() -> None:
    event, _ = chunk([0, 1001, 2002], 64, 48)
    _, fewer = chunk([0, 1001], 64, 48)
    _, later = chunk([0, 1001, 2003], 64, 48)
    for mezzanine in (fewer, later, b"no video"):
        with pytest.raises(ChunkError):
            paint_chunk(event, mezzanine, negative, batch=1, encoding=SEGMENT)


def test_a_failure_of_the_network_is_told_as_it_is() -> None:
    event, mezzanine = chunk([0, 1001, 2002], 64, 48)

    def paint(_frames: Frames, _canvas: Canvas) -> Frames:
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        paint_chunk(event, mezzanine, paint, batch=1, encoding=SEGMENT)
