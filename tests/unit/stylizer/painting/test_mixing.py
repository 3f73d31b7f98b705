"""Strength and the source's colours: exact to the level, on every size of picture."""

from __future__ import annotations

import io
from fractions import Fraction

import av
import numpy as np
import pytest

from shared.contracts.manifest import Chunk, pts_digest
from shared.contracts.messages import ChunkReady
from shared.contracts.style_request import StyleRequest
from shared.media.chunks import ChunkWriter, read_chunk
from shared.media.encodings import MEZZANINE, SEGMENT
from shared.media.pixels import plane_arrays
from stylizer.painting.chunk import paint_chunk, paint_picture
from stylizer.painting.frames import Canvas, Frames

SIZES = [(64, 48), (16, 16), (66, 50), (2, 2), (640, 360)]


def coloured(width: int, height: int, seed: int = 0) -> av.VideoFrame:
    """Return a frame whose three planes are noise of BT.709's limited range."""
    frame = av.VideoFrame(width, height, "yuv420p")
    noise = np.random.default_rng(seed)
    for plane in plane_arrays(frame):
        plane[...] = noise.integers(16, 236, plane.shape, np.uint8)
    frame.pts, frame.time_base = 0, Fraction(1, 25)
    return frame


def negative(_style: str, frames: Frames, _canvas: Canvas, **_: object) -> Frames:
    return 255 - frames


def refuse(_style: str, frames: Frames, _canvas: Canvas, **_: object) -> Frames:
    raise AssertionError("the network is not needed")


def planes(frame: av.VideoFrame) -> list[np.ndarray]:
    return [plane.astype(int) for plane in plane_arrays(frame)]


def painted(frame: av.VideoFrame, **wish: object) -> list[np.ndarray]:
    return planes(paint_picture(frame, negative, StyleRequest(style="s", **wish)))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("percent", [1, 33, 50, 99])
def test_strength_is_the_exact_mean_of_source_and_painting(
    size: tuple[int, int], percent: int
) -> None:
    source = coloured(*size)
    before, after = planes(source), painted(source)
    mixed = painted(source, strength=percent / 100)
    for original, paint, mean in zip(before, after, mixed, strict=True):
        exact = (percent * paint + (100 - percent) * original) / 100
        assert np.abs(mean - exact).max() <= 0.5


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("strength", [1.0, 0.4])
def test_the_sources_colours_are_kept_to_the_bit_and_its_light_is_not(
    size: tuple[int, int], strength: float
) -> None:
    source = coloured(*size)
    kept = painted(source, preserve_color=True, strength=strength)
    without = painted(source, strength=strength)
    luma, *chroma = planes(source)
    assert all(np.array_equal(*pair) for pair in zip(kept[1:], chroma, strict=True))
    assert np.array_equal(kept[0], without[0])
    assert np.abs(kept[0] - luma).max() > 3, "nothing was painted"


def test_painting_leaves_the_sources_frame_as_it_was() -> None:
    source = coloured(64, 48)
    before = planes(source)
    painted(source, preserve_color=True, strength=0.5)
    assert all(np.array_equal(*pair) for pair in zip(before, planes(source), strict=True))


def test_a_plain_request_is_painted_as_if_there_were_no_other() -> None:
    source = coloured(64, 48)
    plain, written_out = painted(source), painted(source, strength=1.0, preserve_color=False)
    assert all(np.array_equal(*pair) for pair in zip(plain, written_out, strict=True))


def chunk(frames: int, size: tuple[int, int], **wish: object) -> tuple[ChunkReady, bytes]:
    pts = [40 * number for number in range(frames)]
    writer = ChunkWriter(MEZZANINE, width=size[0], height=size[1], time_base=Fraction(1, 1000))
    for number, time in enumerate(pts):
        frame = coloured(*size, seed=number)
        frame.pts = time
        writer.write(frame)
    event = ChunkReady(
        job_id="j",
        chunk=Chunk(
            index=0,
            first_frame=0,
            frames=frames,
            first_pts=0,
            duration=40 * frames,
            pts_digest=pts_digest(pts),
        ),
        width=size[0],
        height=size[1],
        time_base=Fraction(1, 1000),
        sample_aspect_ratio=Fraction(1),
        style=StyleRequest(style="s", **wish),
    )
    return event, writer.close(40 * frames)


def test_strength_0_is_the_source_through_the_encoder_and_costs_no_network() -> None:
    event, mezzanine = chunk(5, (64, 48), strength=0.0)
    writer = ChunkWriter(SEGMENT, width=64, height=48, time_base=Fraction(1, 1000))
    for frame in read_chunk(mezzanine):
        writer.write(frame)
    segment = paint_chunk(event, mezzanine, refuse, batch=2, encoding=SEGMENT)
    assert segment == writer.close(200)


@pytest.mark.parametrize("batch", [1, 4])
def test_every_frame_of_a_chunk_is_mixed_with_its_own_source(batch: int) -> None:
    event, mezzanine = chunk(5, (66, 50), strength=0.5, preserve_color=True)
    segment = paint_chunk(event, mezzanine, negative, batch=batch, encoding=SEGMENT)
    sources, results = list(read_chunk(mezzanine)), list(read_chunk(segment, frames=5))
    for number, result in enumerate(results):
        nearest = min(range(5), key=lambda n: _difference(sources[n], result))
        assert nearest == number


def _difference(source: av.VideoFrame, result: av.VideoFrame) -> float:
    return float(np.abs(planes(source)[1] - planes(result)[1]).mean())


@pytest.mark.parametrize("wish", [{"strength": 0.0}, {"strength": 0.5}, {"preserve_color": True}])
def test_segments_of_every_request_can_be_joined_to_one_stream(wish: dict[str, object]) -> None:
    headers = set()
    for style in ({}, wish):
        event, mezzanine = chunk(3, (64, 48), **style)
        segment = paint_chunk(event, mezzanine, negative, batch=1, encoding=SEGMENT)
        with av.open(io.BytesIO(segment)) as container:
            headers.add(bytes(container.streams.video[0].codec_context.extradata))
    assert len(headers) == 1
