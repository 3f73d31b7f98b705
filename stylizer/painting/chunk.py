"""Turns a chunk of source frames into a segment of painted frames.

Decoding, painting and encoding run concurrently, each in a thread, a few frames apart: the network
never waits for a codec, and memory is bounded by the frames in flight, whatever the chunk's length.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from fractions import Fraction
from typing import Final, NamedTuple, Protocol

import av
import numpy as np

from shared.contracts.errors import ChunkError
from shared.contracts.manifest import NO_BARS, Chunk, GridShift, pts_digest
from shared.contracts.messages import ChunkReady
from shared.contracts.style_request import StyleRequest
from shared.contracts.style_schedule import Look
from shared.media.chunks import ChunkWriter, Decoder, read_chunk
from shared.media.encodings import Encoding
from stylizer.painting.darkness import Darkness, darken, darkness
from stylizer.painting.frames import Canvas, Frames
from stylizer.painting.framing import Framing
from stylizer.painting.layouts import MULTIPLE, RGB, Corner, Layout
from stylizer.painting.mixing import keeps_source, mix_in
from stylizer.painting.overlap import ahead
from stylizer.painting.pictures import LookOf, grouped, pictures

_BATCHES_AHEAD: Final = 2


class Paint(Protocol):
    """Paints frames in a style or a blend; see `Engine.paint`."""

    def __call__(self, style: str, frames: Frames, canvas: Canvas, /, *, passing: bool) -> Frames:
        """Return the painted frames."""


class _Batching(NamedTuple):
    """How frames are batched: at most ``size`` of one look, and their layout in arrays."""

    size: int
    style: StyleRequest
    look_of: LookOf
    chunk: Chunk | None
    layout: Layout


class _Batch(NamedTuple):
    """A batch of pictures of one look: when each is shown, the originals if they are needed, what
    is dark in them, where they are, and their padded pixels.
    """

    look: Look
    pts: list[list[int]]
    originals: list[av.VideoFrame | None]
    darkness: list[Darkness | None]
    framing: Framing
    corners: list[Corner]
    canvas: Canvas
    planes: Frames


def paint_chunk(
    event: ChunkReady,
    mezzanine: bytes,
    paint: Paint,
    *,
    batch: int,
    encoding: Encoding,
    decoder: Decoder = "cpu",
    layout: Layout = RGB,
) -> bytes:
    """Return the segment (MP4, one closed GOP) of a chunk's ``mezzanine``.

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
    frames = read_chunk(mezzanine, frames=event.chunk.frames, decoder=decoder)
    look_of = _look_of(event)
    batches = _Batching(batch, event.style, look_of, event.chunk, layout)
    with closing(_painted(frames, paint, batches)) as painted:
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


def paint_picture(
    source: av.VideoFrame, paint: Paint, style: StyleRequest, layout: Layout = RGB
) -> av.VideoFrame:
    """Return one ``yuv420p`` frame as its segment would show it, apart from encoding losses.

    ``style`` is the request for this picture: see `StyleRequest.at`.
    """
    batches = _Batching(1, style, lambda _: Look(style.style), None, layout)
    (painted,) = _painted([source], paint, batches)
    return painted


def _look_of(event: ChunkReady) -> LookOf:
    schedule = event.style.schedule
    return lambda frame: schedule.look_at(event.shown_at(frame.pts or 0))


def _painted(
    frames: Iterable[av.VideoFrame], paint: Paint, batching: _Batching
) -> Generator[av.VideoFrame]:
    style = batching.style
    if not style.strength_percent:
        yield from frames
        return
    with ahead(_batches(frames, batching), _BATCHES_AHEAD) as batches:
        painted = (
            batch._replace(
                planes=paint(
                    batch.look.style, batch.planes, batch.canvas, passing=batch.look.passing
                )
            )
            for batch in batches
        )
        with ahead(painted, _BATCHES_AHEAD) as results:
            for batch in results:
                yield from _finished(batch, batching)


def _finished(batch: _Batch, batching: _Batching) -> Iterator[av.VideoFrame]:
    framing, style = batch.framing, batching.style
    results = zip(
        batch.pts, batch.originals, batch.darkness, batch.planes, batch.corners, strict=True
    )
    for pts, original, dark, pixels, corner in results:
        painted = batching.layout.take(pixels, *framing.working, corner)
        darken(painted, dark)
        frame = framing.to_frame_size(painted)
        if original is not None:
            if keeps_source(style):
                mix_in(framing.cut(original), frame, style)
            if framing.crops:
                frame = framing.surround(frame, original)
        for shown in pts:
            frame.pts = shown
            yield frame


def _batches(frames: Iterable[av.VideoFrame], batching: _Batching) -> Iterator[_Batch]:
    style, chunk = batching.style, batching.chunk
    bars = NO_BARS if chunk is None else chunk.bars
    for group in grouped(pictures(frames, chunk, batching.look_of), batching.size):
        first = group[0].frame
        framing = Framing.of(first.width, first.height, bars, style.lines)
        keep = keeps_source(style) or framing.crops
        working = [framing.to_working_size(picture.frame) for picture in group]
        corners = [_corner(picture.shift) for picture in group]
        places = [
            framing.place(picture.place, corner)
            for picture, corner in zip(group, corners, strict=True)
        ]
        yield _Batch(
            look=group[0].look,
            pts=[picture.pts for picture in group],
            originals=[picture.frame if keep else None for picture in group],
            darkness=[darkness(frame) for frame in working],
            framing=framing,
            corners=corners,
            canvas=np.array(places, np.int32),
            planes=_planes(working, framing, corners, batching.layout, group[0].has_moved),
        )


def _corner(shift: GridShift) -> Corner:
    """Return where a frame begins in its array, so that its content stays put on the grid."""
    return shift.down % MULTIPLE, shift.across % MULTIPLE


def _planes(
    working: list[av.VideoFrame],
    framing: Framing,
    corners: list[Corner],
    layout: Layout,
    shifted: bool,
) -> Frames:
    """Copy frames of one size into an array; frames that have moved get room to be shifted in.

    That room is the same wherever they lie: what is beyond a picture's edge influences what is
    painted near it, and must not depend on which frames are painted together.
    """
    room = MULTIPLE - 1 if shifted else 0
    planes = layout.batch(len(working), *framing.working, room)
    for frame, pixels, corner in zip(working, planes, corners, strict=True):
        layout.put(frame, pixels, corner)
    return planes
