"""The copied tracks lie in storage under a seal: a damaged byte fails the job by name."""

from __future__ import annotations

import io
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from prometheus_client import CollectorRegistry
from videos import Sound, Video

from assembler.assembly import Assembly
from assembler.metrics import AssemblerMetrics
from assembler.settings import AssemblerSettings
from shared.contracts.errors import ResultError
from shared.contracts.layout import side_blob
from shared.contracts.manifest import Manifest, Source
from shared.contracts.style_request import StyleRequest
from shared.storage.accounts import storage_client
from shared.storage.blobs import BlobStore
from shared.storage.seals import file_digest
from splitter.media.chunking import EncodedChunk
from splitter.media.split import SplitEnd, SplitOptions, split

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def blobs(storage_connection: str) -> AsyncIterator[BlobStore]:
    async with storage_client(storage_connection, None, None) as client:
        yield BlobStore(client)


def split_with_sound(side: Path) -> tuple[Source, list[EncodedChunk], SplitEnd]:
    video = io.BytesIO(Video(frames=8, sounds=[Sound()]).make())
    source, *chunks, end = split(video, SplitOptions(), side)
    assert isinstance(source, Source)
    assert isinstance(end, SplitEnd)
    return source, [chunk for chunk in chunks if isinstance(chunk, EncodedChunk)], end


@pytest.mark.parametrize("damaged", [False, True])
async def test_sound_that_was_damaged_in_storage_is_not_published(
    storage_connection: str, blobs: BlobStore, tmp_path: Path, *, damaged: bool
) -> None:
    job, container, side = uuid.uuid4().hex[:24], f"t{uuid.uuid4().hex[:8]}", tmp_path / "side"
    source, chunks, end = split_with_sound(side)
    digest = file_digest(side)
    manifest = Manifest(
        job_id=job,
        video_url="u",
        video_name="v.mp4",
        etag="e",
        style=StyleRequest(style="starry-night"),
        source=source,
        chunks=tuple(chunk.chunk for chunk in chunks),
        frames=end.frames,
        side=side_blob(job, source.container, digest),
        side_sha256=digest,
    )
    async with storage_client(storage_connection, None, None) as client:
        await client.create_container(container)
    content = bytearray(side.read_bytes())
    content[len(content) // 2] ^= damaged
    assert manifest.side
    await blobs.create(container, manifest.side, bytes(content))
    settings = AssemblerSettings(
        storage_connection_string=storage_connection,  # type: ignore[arg-type]
        eventhub_connection_string="Endpoint=sb://localhost;UseDevelopmentEmulator=true",  # type: ignore[arg-type]
        frames_container=container,
        segments_container=container,
    )
    assembly = Assembly(settings, blobs, None, AssemblerMetrics(CollectorRegistry()))
    # Whole, they are taken, and what lacks next are the segments
    with pytest.raises(ResultError) as refusal:
        await assembly.run(manifest)
    assert refusal.value.code == ("CORRUPT_SIDE" if damaged else "SEGMENT_MISSING")
