"""Turns a chunk of source frames into a segment of painted frames.

Decoding, painting and encoding run at the same time, each in a thread, a few frames apart: the
network never waits for a codec, and memory is bounded by the frames in between, whatever the
chunk's length.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from typing import Final

import av
import numpy as np

from shared.errors import ChunkError
from shared.manifest import pts_digest
from shared.media.chunks import ChunkWriter, Encoding, read_chunk
from shared.media.pixels import from_planar_rgb, to_planar_rgb
from shared.messages import ChunkReady
from stylizer.engine import MULTIPLE, Frames
from stylizer.overlap import ahead

Paint = Callable[[Frames], Frames]

_BATCHES_AHEAD: Final = 2


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
    with ahead(_batches(frames, batch, pts), _BATCHES_AHEAD) as batches:
        painted = (_crop(paint(frames), event.width, event.height) for frames in batches)
        with ahead(painted, _BATCHES_AHEAD) as results:
            for index, planes in enumerate(itertools.chain.from_iterable(results)):
                frame = from_planar_rgb(planes)
                frame.pts, frame.time_base = pts[index], Fraction(1, event.time_base.denominator)
                writer.write(frame)
    if pts_digest(pts) != event.chunk.pts_digest:
        raise ChunkError(
            "WRONG_TIMESTAMPS",
            f"chunk {event.chunk.index}: its frames are not at the promised times",
        )
    return writer.close(event.chunk.duration)


def _batches(frames: Iterable[av.VideoFrame], size: int, pts: list[int]) -> Iterator[Frames]:
    iterator = iter(frames)
    while group := list(itertools.islice(iterator, size)):
        pts.extend(frame.pts or 0 for frame in group)
        yield _planes(group)


def _planes(frames: list[av.VideoFrame]) -> Frames:
    """Stack frames as (N, 3, H, W), rounded up to the network's grid by repeating the edge."""
    width, height = frames[0].width, frames[0].height
    padded = np.empty(
        (len(frames), 3, _round_up(height), _round_up(width)),
        np.uint8,
    )
    for planes, frame in zip(padded, frames, strict=True):
        to_planar_rgb(frame, planes[:, :height, :width])
    padded[:, :, height:, :width] = padded[:, :, height - 1 : height, :width]
    padded[:, :, :, width:] = padded[:, :, :, width - 1 : width]
    return padded


def _crop(frames: Frames, width: int, height: int) -> Frames:
    return frames[:, :, :height, :width]


def _round_up(length: int) -> int:
    return -(-length // MULTIPLE) * MULTIPLE
