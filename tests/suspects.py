"""A chunk of a video, its count of attempts, and painters that attempt it."""

from __future__ import annotations

import functools
import io
import tempfile
from pathlib import Path

import numpy as np
from prometheus_client import CollectorRegistry
from videos import Video

from shared.contracts.manifest import Source
from shared.contracts.messages import ChunkReady
from shared.contracts.style_request import StyleRequest
from shared.service.health import Health
from shared.storage.blobs import BlobStore
from shared.storage.descriptions import Content
from shared.storage.seals import seal
from splitter.media.chunking import EncodedChunk
from splitter.media.split import SplitOptions, split
from stylizer.attempts.counter import ChunkAttempts
from stylizer.attempts.retrying import RetryingPainter
from stylizer.metrics import StylizerMetrics
from stylizer.painting.engine import Canvas, Engine, Frames
from stylizer.painting.layouts import RGB
from stylizer.settings import StylizerSettings

LIMIT = 3
NAME = "chunk.mp4"
SETTLED = {"engine": "cpu", "precision": "fp32", "segment_encoder": "x264"}


@functools.cache
def chunk() -> tuple[ChunkReady, bytes]:
    """The first chunk of a video, and its reference."""
    video = io.BytesIO(Video(frames=8, size=(64, 48)).make())
    with tempfile.TemporaryDirectory() as folder:
        source, first, *_ = split(video, SplitOptions(first_chunk_frames=8), Path(folder) / "side")
    assert isinstance(source, Source)
    assert isinstance(first, EncodedChunk)
    event = ChunkReady.of("0" * 24, source, StyleRequest(style="starry-night"), first.chunk)
    return event, first.data


async def read(blobs: BlobStore, container: str) -> Content:
    data = chunk()[1]
    await blobs.create(container, NAME, data, metadata=seal(data))
    content = await blobs.fetch(container, NAME)
    assert content
    return content


async def begin(attempts: ChunkAttempts) -> int | None:
    """Count the upcoming attempt, and return its number."""
    while (number := attempts.upcoming) and not await attempts.begin(number):
        pass
    return number


class Gone:
    """An engine that stops painting: its GPU has fallen off the bus."""

    paints = False
    layout = RGB
    cause: Exception = RuntimeError("CUDA failure 999: unknown error")

    def version(self, _style: StyleRequest) -> str:
        return "1"

    def trim(self) -> None:
        pass

    def find_style_changes(self) -> str | None:
        return None

    def paint(self, _style: str, frames: Frames, _canvas: Canvas | None = None) -> Frames:
        if not self.paints:
            raise self.cause
        return np.array(frames)


def painter(
    blobs: BlobStore,
    container: str,
    paints: Engine,
    attempts: int = LIMIT,
    **settings: object,
) -> tuple[RetryingPainter, Health]:
    health = Health()
    chosen = StylizerSettings(
        storage_connection_string="UseDevelopmentStorage=true",  # type: ignore[arg-type]
        eventhub_connection_string="Endpoint=sb://localhost;UseDevelopmentEmulator=true",  # type: ignore[arg-type]
        frames_container=container,
        chunk_attempts=attempts,
        lanes=1,
        **settings,  # type: ignore[arg-type]
    )
    metrics = StylizerMetrics(CollectorRegistry())
    return RetryingPainter(chosen, blobs, paints, metrics, health), health
