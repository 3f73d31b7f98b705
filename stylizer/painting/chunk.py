"""Turns a chunk of source frames into a segment of painted frames.

Decoding, painting and encoding run at the same time, each in a thread, a few frames apart: the
network never waits for a codec, and memory is bounded by the frames in between, whatever the
chunk's length.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from fractions import Fraction
from typing import Final, NamedTuple

import av
import numpy as np

from shared.contracts.errors import ChunkError
from shared.contracts.manifest import NO_BARS, Chunk, Place, pts_digest
from shared.contracts.messages import ChunkReady
from shared.contracts.style_request import StyleRequest
from shared.media.chunks import ChunkWriter, read_chunk
from shared.media.encodings import Encoding
from shared.media.pixels import from_planar_rgb, to_planar_rgb
from stylizer.painting.bound import Canvas, Frames
from stylizer.painting.engine import MULTIPLE
from stylizer.painting.framing import Framing
from stylizer.painting.mixing import keeps_source, mix_in
from stylizer.painting.overlap import ahead

Paint = Callable[[Frames, Canvas], Frames]

_BATCHES_AHEAD: Final = 2


class _Batch(NamedTuple):
    """Some frames on their way: times, what is kept of them, places, and their padded pixels."""

    pts: list[int]
    originals: list[av.VideoFrame | None]
    framing: Framing
    canvas: Canvas
    planes: Frames


def paint_chunk(
    event: ChunkReady, mezzanine: bytes, paint: Paint, *, batch: int, encoding: Encoding
) -> bytes:
    """Return the segment (MP4, one closed group of pictures) of a chunk's ``mezzanine``.

    The segment has exactly the chunk's frames at exactly their timestamps, which are relative to
    the chunk's first frame. The same chunk gives the same bytes.

    Raises:
        ChunkError: the mezzanine is not what the event describes.
    """
    writer = ChunkWriter(
        encoding,
        width=event.width,
        height=event.height,
        time_base=event.time_base,
        sample_aspect_ratio=event.sample_aspect_ratio,
    )
    pts: list[int] = []
    frames = read_chunk(mezzanine, frames=event.chunk.frames)
    with closing(_painted(frames, paint, event.style, batch, event.chunk)) as painted:
        for frame in painted:
            pts.append(frame.pts or 0)
            frame.time_base = Fraction(1, event.time_base.denominator)
            writer.write(frame)
    if pts_digest(pts) != event.chunk.pts_digest:
        raise ChunkError(
            "WRONG_TIMESTAMPS",
            f"chunk {event.chunk.index}: its frames are not at the promised times",
        )
    return writer.close(event.chunk.duration)


def paint_picture(source: av.VideoFrame, paint: Paint, style: StyleRequest) -> av.VideoFrame:
    """Return one ``yuv420p`` frame as its segment would show it, but for the encoding."""
    (painted,) = _painted([source], paint, style, 1, None)
    return painted


def _painted(
    frames: Iterable[av.VideoFrame],
    paint: Paint,
    style: StyleRequest,
    batch: int,
    chunk: Chunk | None,
) -> Generator[av.VideoFrame]:
    if not style.strength_percent:
        yield from frames
        return
    with ahead(_batches(frames, batch, style, chunk), _BATCHES_AHEAD) as batches:
        painted = (some._replace(planes=paint(some.planes, some.canvas)) for some in batches)
        with ahead(painted, _BATCHES_AHEAD) as results:
            for some in results:
                yield from _finished(some, style)


def _finished(batch: _Batch, style: StyleRequest) -> Iterator[av.VideoFrame]:
    framing = batch.framing
    width, height = framing.working
    pictures = batch.planes[:, :, :height, :width]
    for pts, original, planes in zip(batch.pts, batch.originals, pictures, strict=True):
        frame = framing.leave(from_planar_rgb(planes))
        if original is not None:
            if keeps_source(style):
                mix_in(framing.cut(original), frame, style)
            if framing.crops:
                frame = framing.surround(frame, original)
        frame.pts = pts
        yield frame


def _batches(
    frames: Iterable[av.VideoFrame], size: int, style: StyleRequest, chunk: Chunk | None
) -> Iterator[_Batch]:
    iterator, places = iter(frames), _places(() if chunk is None else chunk.canvas)
    bars = NO_BARS if chunk is None else chunk.bars
    while group := list(itertools.islice(iterator, size)):
        framing = Framing.of(group[0].width, group[0].height, bars, style.lines)
        keep = keeps_source(style) or framing.crops
        yield _Batch(
            pts=[frame.pts or 0 for frame in group],
            originals=[frame if keep else None for frame in group],
            framing=framing,
            canvas=np.array([framing.place(next(places)) for _ in group], np.int32),
            planes=_planes([framing.enter(frame) for frame in group]),
        )


def _places(told: Sequence[Place]) -> Iterator[Place]:
    """Return a place for every frame: where no more are told, the camera has stopped."""
    stopped = told[-1] if told else Place(0, 0)
    return itertools.chain(told, itertools.repeat(stopped))


def _planes(frames: list[av.VideoFrame]) -> Frames:
    """Stack frames as (N, 3, H, W), rounded up to the network's grid by repeating the edge."""
    width, height = frames[0].width, frames[0].height
    padded = np.empty((len(frames), 3, _round_up(height), _round_up(width)), np.uint8)
    for planes, frame in zip(padded, frames, strict=True):
        to_planar_rgb(frame, planes[:, :height, :width])
    padded[:, :, height:, :width] = padded[:, :, height - 1 : height, :width]
    padded[:, :, :, width:] = padded[:, :, :, width - 1 : width]
    return padded


def _round_up(length: int) -> int:
    return -(-length // MULTIPLE) * MULTIPLE
