"""The speed of splitting and joining the bench's clip, and how little they change it."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from assembler.mux import mux
from bench.clip import write_clip
from shared.contracts.manifest import Manifest, Source
from shared.contracts.style_request import StyleRequest
from shared.media.chunks import ChunkWriter, read_chunk
from shared.media.encodings import SEGMENT
from splitter.media.chunking import EncodedChunk
from splitter.media.crew import Crew
from splitter.media.split import SplitOptions, split
from splitter.settings import default_threads


@dataclass(frozen=True, slots=True)
class MediaFigures:
    """Figures for one picture size on one core; nothing is painted in between.

    Only ``split_on_all_cores`` is by wall time, with a splitter's default number of threads.

    The peak signal-to-noise ratios are those of luma against the source, averaged over frames.
    """

    size: str
    split_frames_per_second: float
    split_on_all_cores: float
    mux_frames_per_second: float
    mezzanine_psnr_db: float
    round_trip_psnr_db: float
    mezzanine_kb_per_frame: float
    segment_kb_per_frame: float
    segment_cpu_ms_per_frame: float


def measure(frames: int, width: int, height: int) -> MediaFigures:
    """Split, encode and join ``frames`` frames of the sample at a size."""
    with tempfile.TemporaryDirectory(prefix="stylestream-") as folder:
        clip, side, out = (Path(folder) / name for name in ("clip.mp4", "side", "out.mp4"))
        write_clip(clip, frames, width, height)
        began = time.process_time()
        with clip.open("rb") as file:
            source, *chunks, _end = split(file, SplitOptions(), side)
        splitting = time.process_time() - began
        with clip.open("rb") as file, Crew(default_threads()) as crew:
            began = time.monotonic()
            for _ in split(file, SplitOptions(), side, crew):
                pass
            splitting_together = time.monotonic() - began
        assert isinstance(source, Source)
        encoded = [chunk for chunk in chunks if isinstance(chunk, EncodedChunk)]

        began = time.process_time()
        segments = [_segment(source, chunk) for chunk in encoded]
        encoding = time.process_time() - began

        began = time.process_time()
        mux(_manifest(source, encoded, frames), segments, None, out)
        muxing = time.process_time() - began
        return MediaFigures(
            size=f"{width}x{height}",
            split_frames_per_second=frames / splitting,
            split_on_all_cores=frames / splitting_together,
            mux_frames_per_second=frames / muxing,
            mezzanine_psnr_db=_psnr(_decoded(clip), _chunk_frames(chunk.data for chunk in encoded)),
            round_trip_psnr_db=_psnr(_decoded(clip), _decoded(out)),
            mezzanine_kb_per_frame=sum(len(chunk.data) for chunk in encoded) / frames / 1000,
            segment_kb_per_frame=sum(map(len, segments)) / frames / 1000,
            segment_cpu_ms_per_frame=1000 * encoding / frames,
        )


def _segment(source: Source, encoded: EncodedChunk) -> bytes:
    writer = ChunkWriter(
        SEGMENT, width=source.width, height=source.height, time_base=source.time_base
    )
    for frame in read_chunk(encoded.data, frames=encoded.chunk.frames):
        writer.write(frame)
    return writer.close(encoded.chunk.duration)


def _manifest(source: Source, encoded: list[EncodedChunk], frames: int) -> Manifest:
    return Manifest(
        job_id="benchmark",
        video_url="",
        video_name="clip.mp4",
        etag="",
        style=StyleRequest(style="none"),
        source=source,
        chunks=tuple(chunk.chunk for chunk in encoded),
        frames=frames,
    )


def _decoded(path: Path) -> Iterator[av.VideoFrame]:
    with av.open(path) as container:
        yield from container.decode(video=0)


def _chunk_frames(files: Iterator[bytes]) -> Iterator[av.VideoFrame]:
    for data in files:
        yield from read_chunk(data)


def _psnr(source: Iterator[av.VideoFrame], result: Iterator[av.VideoFrame]) -> float:
    return float(np.mean([_frame_psnr(a, b) for a, b in zip(source, result, strict=True)]))


def _frame_psnr(one: av.VideoFrame, other: av.VideoFrame) -> float:
    a, b = (frame.to_ndarray()[: one.height].astype(float) for frame in (one, other))
    return float(10 * np.log10(255**2 / max(np.mean((a - b) ** 2), 1e-9)))
