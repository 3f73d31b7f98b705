"""A job whose segments come from different encoders ends with the processor's segments only.

A second real encoder stands for NVENC, which the machines of this test do not have: x264 with other
options, whose parameter sets are others.
"""

from __future__ import annotations

import io
import tempfile
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
import pytest
from assembler_bench import Bench, running, started
from manifests import store_whole
from prometheus_client import CollectorRegistry
from serving import serving
from videos import Video, number_of

from shared.contracts.layout import chunk_blob, chunk_partition
from shared.contracts.manifest import Manifest, Source
from shared.contracts.messages import ChunkReady, SplitCompleted
from shared.contracts.style_request import StyleRequest
from shared.media.encodings import Encoding
from shared.service.clients import AzureClients
from shared.service.health import Health
from shared.storage.seals import seal
from splitter.media.chunking import EncodedChunk
from splitter.media.split import SplitEnd, SplitOptions, split
from stylizer import service as stylizer
from stylizer.attempts import codecs
from stylizer.metrics import StylizerMetrics
from stylizer.painting.engine import Canvas, Frames
from stylizer.painting.layouts import RGB
from stylizer.settings import StylizerSettings

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(240)]

OTHER = Encoding(
    "libx264",
    {"preset": "medium", "crf": "15", "x264-params": "keyint=infinite:scenecut=0:bframes=0"},
)


class Unchanging:
    """An engine that paints every frame as it was."""

    layout = RGB

    def paint(self, _style: str, frames: Frames, _canvas: Canvas | None = None, **_: Any) -> Frames:
        return np.array(frames)

    def version(self, _style: StyleRequest) -> str:
        return "1"

    def trim(self) -> None:
        pass

    def find_style_changes(self) -> str | None:
        return None


class Painted(NamedTuple):
    """A job's manifest, its chunks' files, and references to them."""

    manifest: Manifest
    files: list[bytes]
    events: list[ChunkReady]


def split_job(job: str) -> Painted:
    video = io.BytesIO(Video(frames=24, size=(192, 96)).make())
    style = StyleRequest(style="starry-night")
    options = SplitOptions(chunk_frames=8, first_chunk_frames=8)
    with tempfile.TemporaryDirectory() as folder:
        source, *parts = split(video, options, Path(folder) / "side")
    assert isinstance(source, Source)
    end = parts[-1]
    assert isinstance(end, SplitEnd)
    encoded = [part for part in parts if isinstance(part, EncodedChunk)]
    manifest = Manifest(
        job_id=job,
        video_url="u",
        video_name="v.mp4",
        etag="e",
        style=style,
        source=source,
        chunks=tuple(part.chunk for part in encoded),
        frames=end.frames,
    )
    events = [ChunkReady.of(job, source, style, chunk) for chunk in manifest.chunks]
    return Painted(manifest, [part.data for part in encoded], events)


@asynccontextmanager
async def stylizing(bench: Bench, encoder: str) -> AsyncIterator[None]:
    """Run a stylizer that has ``encoder``; leaving ends it as SIGTERM does."""
    inside = bench.settings.model_dump(
        include=set(StylizerSettings.model_fields), exclude_unset=True
    )
    settings = StylizerSettings(**inside, engine="cpu", lanes=1, segment_encoder=encoder)  # type: ignore[arg-type]
    engine: Any = Unchanging()
    async with AzureClients(settings) as clients:
        metrics = StylizerMetrics(CollectorRegistry())
        service = await stylizer.connect(settings, engine, clients, metrics, Health())
        async with serving(service):
            yield


Send = Callable[[list[ChunkReady]], Awaitable[None]]


@asynccontextmanager
async def sending(bench: Bench) -> AsyncIterator[Send]:
    """Send references as the splitter does."""
    async with AzureClients(bench.settings) as clients:
        frames = await clients.publisher(bench.settings.frames_hub)
        partitions = await frames.partitions()

        async def send(events: list[ChunkReady]) -> None:
            for event in events:
                place = chunk_partition(event.job_id, event.chunk.index, len(partitions))
                await frames.to_partition(event, partitions[place])

        yield send


async def encoders(bench: Bench, job: str) -> list[str]:
    """Return what encoded the segments that are stored, in order."""
    items = bench.blobs.items(bench.settings.segments_container, job)
    return [item.metadata.get("encoder", "") async for item in items]


@pytest.mark.slow
async def test_a_job_that_loses_its_gpu_stylizers_ends_with_segments_of_one_encoder(
    storage_connection: str, eventhub_connection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(codecs, "nvenc_segment_encoding", lambda *_: OTHER)
    job = uuid.uuid4().hex[:24]
    made = split_job(job)
    async with (
        running(
            storage_connection,
            eventhub_connection,
            redrive_after_s=0.2,
            checkpoint_interval_s=0.1,
            keep_intermediates=True,
        ) as bench,
        sending(bench) as send,
    ):
        inside = bench.settings
        for number, data in enumerate(made.files):
            name = chunk_blob(job, number)
            await bench.blobs.create(inside.frames_container, name, data, metadata=seal(data))
        await bench.hub.by_job(started(job))

        async with stylizing(bench, "nvenc"):
            await send(made.events[:2])
            await bench.record(job, lambda status: status.chunks_stylized == 2)
        on_gpu = await encoders(bench, job)
        assert len(set(on_gpu)) == 1
        assert on_gpu[0].startswith("nvenc-")
        # The first comes a second time, as after a worker that died, and so does the word that it
        # has to be encoded on the processor, as from an assembler that began anew
        again = made.events[0].model_copy(update={"on_processor": True})
        await send([made.events[0], *made.events[2:], again, again])
        # From here on the result is written ahead, with segments that will not do
        await store_whole(bench.blobs, inside.frames_container, made.manifest)
        await bench.hub.by_job(SplitCompleted(job_id=job, chunks=3, frames=24))
        async with stylizing(bench, "x264"):
            status = await bench.ended(job)
        assert (status.state, status.error) == ("done", None)
        assert await encoders(bench, job) == ["", "", ""]
        result = await bench.blobs.read(inside.results_container, str(status.result))
        assert result
        assert bench.metrics.get_sample_value("assembler_redriven_chunks_total") == 1
    with av.open(io.BytesIO(result)) as shown:
        assert [number_of(frame) for frame in shown.decode(video=0)] == list(range(24))
