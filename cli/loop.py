"""A short part of a video, painted as a job would paint it, as an animated picture.

It takes all steps of a chunk: the splitter's frames, the canvas that follows the camera, the
encoder. So whatever flickers here also flickers in a result, and nothing else does.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import av.error
import numpy as np
from PIL import Image

from cli.contact_sheet import Named, draw_sheet
from client.drafts import written_whole
from shared.contracts.errors import SourceRefused, StylestreamError
from shared.contracts.manifest import Source
from shared.contracts.messages import ChunkReady
from shared.contracts.style_request import StyleRequest
from shared.media.chunks import read_chunk
from splitter.media.chunking import EncodedChunk
from splitter.media.part import Part
from splitter.media.split import SplitOptions, split
from stylizer.attempts.segments import paint
from stylizer.painting.engine import Engine

_MILLISECOND: Final = Fraction(1, 1000)
_QUALITY: Final = "80"

Sheets = Iterator[tuple[Fraction, Image.Image]]
"""Pictures, each with its time in seconds from the beginning of the loop."""


def paint_loop(
    path: Path, requests: Sequence[tuple[str, StyleRequest]], engine: Engine, columns: int | None
) -> Sheets:
    """Yield a sheet for every frame: the source, and the frame as each request paints it.

    All requests are for the same part, size and brush.

    Raises:
        StylestreamError: there is no such video; the sentence names the file.
    """
    asked = requests[0][1]
    options = SplitOptions(max_side=asked.max_side, lines=asked.lines, part=Part.of(asked))
    source: Source | None = None
    with path.open("rb") as file, tempfile.TemporaryDirectory(prefix="stylestream-") as folder:
        try:
            for item in split(file, options, Path(folder) / "side"):
                if isinstance(item, Source):
                    source = item
                elif isinstance(item, EncodedChunk):
                    assert source is not None
                    yield from _sheets(source, item, requests, engine, columns)
        except SourceRefused as refusal:
            raise StylestreamError(f"{path}: {refusal.message}") from refusal


def save_loop(sheets: Sheets, path: Path) -> None:
    """Write sheets as an animated WebP that repeats forever.

    Raises:
        StylestreamError: the file cannot be written.
    """
    try:
        with written_whole(path) as draft:
            _encode(sheets, draft)
    except av.error.FFmpegError as error:
        raise StylestreamError(f"cannot write {path}: {error.strerror}") from error


def _encode(sheets: Sheets, path: Path) -> None:
    with av.open(str(path), "w", format="webp", options={"loop": "0"}) as container:
        stream = container.add_stream("libwebp_anim", options={"quality": _QUALITY})
        for at, sheet in sheets:
            if not stream.codec_context.is_open:
                stream.width, stream.height = sheet.width, sheet.height
                stream.pix_fmt, stream.codec_context.time_base = "yuv420p", _MILLISECOND
            frame = av.VideoFrame.from_ndarray(np.asarray(sheet), format="rgb24")
            frame.pts, frame.time_base = round(at / _MILLISECOND), _MILLISECOND
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _sheets(
    source: Source,
    chunk: EncodedChunk,
    requests: Sequence[tuple[str, StyleRequest]],
    engine: Engine,
    columns: int | None,
) -> Sheets:
    films: list[Iterator[Named]] = [zip(itertools.repeat("source"), read_chunk(chunk.data))]
    for name, request in requests:
        event = ChunkReady.of("loop", source, request, chunk.chunk)
        segment = paint(engine, event, chunk.data, batch=1)
        films.append(zip(itertools.repeat(name), read_chunk(segment)))
    for row in zip(*films, strict=True):
        pts = chunk.chunk.first_pts + (row[0][1].pts or 0)
        yield pts * source.time_base, draw_sheet(row, columns)
