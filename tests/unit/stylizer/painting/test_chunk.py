"""Painting a chunk: every frame, at its time, whatever its size; bad chunks are refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from shared.contracts.errors import ChunkError
from shared.contracts.manifest import Chunk, Place, pts_digest
from shared.contracts.messages import ChunkReady
from shared.contracts.style_blend import parse_blend
from shared.contracts.style_request import StyleRequest
from shared.media.chunks import ChunkWriter, read_chunk
from shared.media.encodings import MEZZANINE, SEGMENT
from shared.styles.gallery import Gallery
from stylizer.painting.chunk import paint_chunk
from stylizer.painting.engine import OnnxEngine
from stylizer.painting.frames import Canvas, Frames

TIME_BASE = Fraction(1, 30000)


def chunk(pts: list[int], width: int, height: int) -> tuple[ChunkReady, bytes]:
    """Return a chunk whose frame k is a ramp from 60 + 5 k, which is not dark, and its event."""
    ramps = (
        np.tile(np.linspace(60 + 5 * number, 235, width, dtype=np.uint8), (height, 1))
        for number in range(len(pts))
    )
    return chunk_of(ramps, pts, width, height)


def chunk_of(
    greys: Iterable[NDArray[np.uint8]], pts: list[int], width: int, height: int
) -> tuple[ChunkReady, bytes]:
    """Return a chunk of grey pictures that are shown at ``pts``, and its event."""
    writer = ChunkWriter(MEZZANINE, width=width, height=height, time_base=TIME_BASE)
    for grey, time in zip(greys, pts, strict=True):
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


def negative(_style: str, frames: Frames, _canvas: Canvas, **_: object) -> Frames:
    return 255 - frames


def luma(frame: av.VideoFrame) -> np.ndarray:
    return frame.to_ndarray(format="gray").astype(int)


@pytest.mark.parametrize("size", [(64, 48), (66, 50), (2, 2), (16, 1024 // 64)])
@pytest.mark.parametrize("batch", [1, 3, 8])
def test_every_frame_is_painted_in_order_at_its_time(size: tuple[int, int], batch: int) -> None:
    pts = [0, 1001, 1002, 4004, 9000]
    event, mezzanine = chunk(pts, *size)
    seen: list[tuple[int, ...]] = []

    def paint(_style: str, frames: Frames, canvas: Canvas, **_: object) -> Frames:
        seen.append(frames.shape)
        return negative("", frames, canvas)

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

    def paint(_style: str, frames: Frames, _canvas: Canvas, **_: object) -> Frames:
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
def test_every_frame_is_placed_where_its_chunk_says(
    batch: int, told: tuple[Place, ...], places: list[list[int]]
) -> None:
    event, mezzanine = chunk([0, 1001, 2002, 3003], 64, 48)
    moved = dataclasses.replace(event.chunk, canvas=told)
    seen: list[list[int]] = []

    def paint(_style: str, frames: Frames, canvas: Canvas, **_: object) -> Frames:
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


def test_a_failure_of_the_network_is_reported_as_it_is() -> None:
    event, mezzanine = chunk([0, 1001, 2002], 64, 48)

    def paint(_style: str, _frames: Frames, _canvas: Canvas, **_: object) -> Frames:
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        paint_chunk(event, mezzanine, paint, batch=1, encoding=SEGMENT)


def solid(style: str, frames: Frames, _canvas: Canvas, *, passing: bool) -> Frames:
    """Paint the share of style ``b`` as a level: 0 where there is none, 200 where it is all."""
    shares = dict(parse_blend(style))
    assert passing == (len(shares) > 1)
    return np.full_like(frames, 2 * shares.get("b", 0))


@pytest.mark.parametrize("batch", [1, 3, 8])
@pytest.mark.parametrize("cuts", [(0, 12), (0, 1, 5, 6, 12), (0, 4, 8, 12)])
def test_styles_change_at_the_very_frame_however_the_video_is_cut(
    batch: int, cuts: tuple[int, ...]
) -> None:
    # Given frames at quarters of a second from 0.5 s on, and a fade from 1 s to 2 s
    style = StyleRequest(style="a@0s,b@1s", start=0.5)
    levels: list[int] = []
    for first, end in pairwise(cuts):
        pts = [7500 * number for number in range(end - first)]
        event, mezzanine = chunk(pts, 16, 16)
        placed = dataclasses.replace(event.chunk, first_pts=7500 * first)
        event = event.model_copy(update={"chunk": placed, "style": style})
        # When the chunks are painted
        segment = paint_chunk(event, mezzanine, solid, batch=batch, encoding=SEGMENT)
        frames = read_chunk(segment, frames=len(pts))
        levels += [round(float(luma(frame).mean())) for frame in frames]
    # Then the frames before are of the one style, those behind of the other, bit by bit
    shares = [round((level - levels[0]) / (levels[-1] - levels[0]), 1) for level in levels]
    assert shares == [0, 0, 0, 0.3, 0.5, 0.8, 1, 1, 1, 1, 1, 1]
    assert len(set(levels[:3])) == len(set(levels[6:])) == 1


def test_outside_a_fade_pictures_are_those_of_the_style_alone() -> None:
    engine = OnnxEngine(Gallery(), "cpu")
    event, mezzanine = chunk([3000 * number for number in range(10)], 64, 48)

    def planes(style: str, **more: object) -> list[Frames]:
        seen: list[Frames] = []

        def paint(*given: object, **how: object) -> Frames:
            seen.extend(painted := engine.paint(*given, **how))
            return painted

        asked = event.model_copy(update={"style": StyleRequest(style=style, **more)})
        paint_chunk(asked, mezzanine, paint, batch=2, encoding=SEGMENT)
        return seen

    night, wave = planes("starry-night"), planes("great-wave")
    faded = planes("starry-night@0,great-wave@0.3", fade=0.3)
    assert all(np.array_equal(faded[frame], night[frame]) for frame in range(4))
    assert all(np.array_equal(faded[frame], wave[frame]) for frame in range(6, 10))
    assert not any(
        np.array_equal(faded[frame], plain[frame]) for frame in (4, 5) for plain in (night, wave)
    )
