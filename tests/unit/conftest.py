"""What unit tests share: the shortest ways through the media path, and a free port."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import ports
import pytest
from videos import Sound, Video, number_of, number_picture, packets

from shared.contracts.manifest import Manifest, Source
from shared.contracts.style_request import StyleRequest
from shared.media.chunks import ChunkWriter, read_chunk
from shared.media.encodings import SEGMENT
from splitter.media.chunking import EncodedChunk
from splitter.media.split import SplitEnd, SplitOptions, split


@dataclass
class Split:
    """Everything that a split gave."""

    source: Source
    chunks: list[EncodedChunk]
    end: SplitEnd
    side: Path | None

    def frames(self) -> list[av.VideoFrame]:
        """Decode all chunks; timestamps are the result's."""
        decoded = []
        for encoded in self.chunks:
            for frame in read_chunk(encoded.data, frames=encoded.chunk.frames):
                frame.pts += encoded.chunk.first_pts
                decoded.append(frame)
        return decoded

    def manifest(self) -> Manifest:
        """Describe the split as the splitter service does."""
        return Manifest(
            job_id="job",
            video_url="https://example.net/uploads/clip.mp4",
            video_name="clip.mp4",
            etag="1",
            style=StyleRequest(style="candy"),
            source=self.source,
            chunks=tuple(encoded.chunk for encoded in self.chunks),
            frames=self.end.frames,
            sealed=True,
        )

    def segments(self) -> list[bytes]:
        """Paint nothing: encode each chunk's frames as they are."""
        return [self._segment(encoded) for encoded in self.chunks]

    def _segment(self, encoded: EncodedChunk) -> bytes:
        writer = ChunkWriter(
            SEGMENT,
            width=self.source.width,
            height=self.source.height,
            time_base=self.source.time_base,
            sample_aspect_ratio=self.source.sample_aspect_ratio,
        )
        for frame in read_chunk(encoded.data, frames=encoded.chunk.frames):
            writer.write(frame)
        return writer.close(encoded.chunk.duration)


@pytest.fixture(scope="session")
def split_video(tmp_path_factory) -> Callable[..., Split]:
    """Split a file's bytes in this process."""

    def run(data: bytes, options: SplitOptions | None = None) -> Split:
        side = tmp_path_factory.mktemp("split") / "side"
        events = list(split(io.BytesIO(data), options or SplitOptions(), side))
        source, *chunks, end = events
        return Split(source, chunks, end, side if end.has_side else None)

    return run


@pytest.fixture
def make() -> SimpleNamespace:
    """What tests make videos of and look at them with."""
    return SimpleNamespace(
        Video=Video, Sound=Sound, number_of=number_of, packets=packets, picture=number_picture
    )


@pytest.fixture
def psnr() -> Callable[[av.VideoFrame, av.VideoFrame], float]:
    """Compare two frames' luma, in decibels."""

    def compare(one: av.VideoFrame, other: av.VideoFrame) -> float:
        height = one.height
        a, b = (f.reformat(format="yuv420p").to_ndarray()[:height] for f in (one, other))
        mse = np.mean((a.astype(float) - b) ** 2)
        return 10 * np.log10(255**2 / max(mse, 1e-9))

    return compare


@pytest.fixture
def unused_port() -> int:
    """Return a loopback port that nothing listens on."""
    return ports.unused_port()
