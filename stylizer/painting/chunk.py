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
from typing import Final, NamedTuple, Protocol

import av
import numpy as np

from shared.contracts.errors import ChunkError
from shared.contracts.manifest import NO_BARS, Chunk, Place, pts_digest
from shared.contracts.messages import ChunkReady
from shared.contracts.style_request import StyleRequest
from shared.contracts.style_schedule import Look
from shared.media.chunks import ChunkWriter, Decoder, read_chunk
from shared.media.encodings import Encoding
from stylizer.painting.frames import Canvas, Frames
from stylizer.painting.framing import Framing
from stylizer.painting.layouts import RGB, Layout
from stylizer.painting.mixing import keeps_source, mix_in
from stylizer.painting.overlap import ahead

LookOf = Callable[[av.VideoFrame], Look]
"""Says what a frame is painted in."""

_BATCHES_AHEAD: Final = 2


class Paint(Protocol):
    """Paints frames in a style or a blend; see `Engine.paint`."""

    def __call__(self, style: str, frames: Frames, canvas: Canvas, /, *, passing: bool) -> Frames:
        """Return the painted frames."""


class _Batching(NamedTuple):
    """How frames are put together: so many at most, of one look, and how they lie in arrays."""

    size: int
    style: StyleRequest
    look_of: LookOf
    chunk: Chunk | None
    layout: Layout


class _Batch(NamedTuple):
    """Frames of one look on their way: times, what is kept of them, places, and padded pixels."""

    look: Look
    pts: list[int]
    originals: list[av.VideoFrame | None]
    framing: Framing
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
    """Return one ``yuv420p`` frame as its segment would show it, but for the encoding.

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
            some._replace(
                planes=paint(some.look.style, some.planes, some.canvas, passing=some.look.passing)
            )
            for some in batches
        )
        with ahead(painted, _BATCHES_AHEAD) as results:
            for some in results:
                yield from _finished(some, batching)


def _finished(batch: _Batch, batching: _Batching) -> Iterator[av.VideoFrame]:
    framing, style = batch.framing, batching.style
    for pts, original, picture in zip(batch.pts, batch.originals, batch.planes, strict=True):
        frame = framing.leave(batching.layout.take(picture, *framing.working))
        if original is not None:
            if keeps_source(style):
                mix_in(framing.cut(original), frame, style)
            if framing.crops:
                frame = framing.surround(frame, original)
        frame.pts = pts
        yield frame


def _batches(frames: Iterable[av.VideoFrame], batching: _Batching) -> Iterator[_Batch]:
    style, chunk = batching.style, batching.chunk
    places = _places(() if chunk is None else chunk.canvas)
    bars = NO_BARS if chunk is None else chunk.bars
    for look, group in _groups(frames, batching.size, batching.look_of):
        framing = Framing.of(group[0].width, group[0].height, bars, style.lines)
        keep = keeps_source(style) or framing.crops
        yield _Batch(
            look=look,
            pts=[frame.pts or 0 for frame in group],
            originals=[frame if keep else None for frame in group],
            framing=framing,
            canvas=np.array([framing.place(next(places)) for _ in group], np.int32),
            planes=_planes([framing.enter(frame) for frame in group], batching.layout),
        )


def _groups(
    frames: Iterable[av.VideoFrame], size: int, look_of: LookOf
) -> Iterator[tuple[Look, list[av.VideoFrame]]]:
    """Yield up to ``size`` consecutive frames of one look, and the look."""
    for look, alike in itertools.groupby(frames, look_of):
        while group := list(itertools.islice(alike, size)):
            yield look, group


def _places(told: Sequence[Place]) -> Iterator[Place]:
    """Return a place for every frame: where no more are told, the camera has stopped."""
    stopped = told[-1] if told else Place(0, 0)
    return itertools.chain(told, itertools.repeat(stopped))


def _planes(frames: list[av.VideoFrame], layout: Layout) -> Frames:
    """Put frames of one size into an array."""
    planes = layout.batch(len(frames), frames[0].width, frames[0].height)
    for frame, picture in zip(frames, planes, strict=True):
        layout.put(frame, picture)
    return planes
