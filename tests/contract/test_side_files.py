"""The copied tracks lie in storage under a seal; what is wrong with them costs them alone."""

from __future__ import annotations

import io
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import av
import pytest
import pytest_asyncio
from prometheus_client import CollectorRegistry
from videos import Sound, Video

from assembler.assembly import Assembly
from assembler.metrics import AssemblerMetrics
from assembler.publication import Publication
from assembler.records import Records
from assembler.settings import AssemblerSettings
from shared.contracts.errors import ResultError
from shared.contracts.layout import chunk_blob, side_blob
from shared.contracts.manifest import Manifest, Source
from shared.contracts.style_request import StyleRequest
from shared.storage.accounts import storage_client
from shared.storage.blobs import BlobStore
from shared.storage.seals import file_digest, seal
from splitter.media.chunking import EncodedChunk
from splitter.media.split import SplitEnd, SplitOptions, split

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def blobs(storage_connection: str) -> AsyncIterator[BlobStore]:
    async with storage_client(storage_connection, None, None) as client:
        yield BlobStore(client)


def split_with(side: Path, *sounds: Sound) -> tuple[Source, list[EncodedChunk], SplitEnd]:
    video = io.BytesIO(Video(frames=8, format="matroska", sounds=sounds).make())
    source, *chunks, end = split(video, SplitOptions(), side)
    assert isinstance(source, Source)
    assert isinstance(end, SplitEnd)
    return source, [chunk for chunk in chunks if isinstance(chunk, EncodedChunk)], end


def manifest_of(source: Source, chunks: list[EncodedChunk], side: Path) -> Manifest:
    job, digest = uuid.uuid4().hex[:24], file_digest(side)
    return Manifest(
        job_id=job,
        video_url="u",
        video_name=f"{job}.mp4",
        etag="e",
        style=StyleRequest(style="starry-night"),
        source=source,
        chunks=tuple(chunk.chunk for chunk in chunks),
        frames=sum(chunk.chunk.frames for chunk in chunks),
        side=side_blob(job, source.container, digest),
        side_sha256=digest,
    )


async def assembly_of(connection: str, blobs: BlobStore) -> tuple[Assembly, str]:
    """Return an assembler's works, and the one container that it reads and writes."""
    container = f"t{uuid.uuid4().hex[:8]}"
    async with storage_client(connection, None, None) as client:
        await client.create_container(container)
    settings = AssemblerSettings(
        storage_connection_string=connection,  # type: ignore[arg-type]
        eventhub_connection_string="Endpoint=sb://localhost;UseDevelopmentEmulator=true",  # type: ignore[arg-type]
        frames_container=container,
        segments_container=container,
        results_container=container,
    )
    publication = Publication(blobs, container, Records(blobs, container, container, redrives=0))
    metrics = AssemblerMetrics(CollectorRegistry())
    return Assembly(settings, blobs, publication, metrics), container


@pytest.mark.parametrize("damaged", [False, True])
async def test_sound_that_was_damaged_in_storage_is_not_published(
    storage_connection: str, blobs: BlobStore, tmp_path: Path, *, damaged: bool
) -> None:
    side = tmp_path / "side"
    source, chunks, _ = split_with(side, Sound())
    manifest = manifest_of(source, chunks, side)
    assembly, container = await assembly_of(storage_connection, blobs)
    content = bytearray(side.read_bytes())
    content[len(content) // 2] ^= damaged
    assert manifest.side
    await blobs.create(container, manifest.side, bytes(content))
    # Whole, they are taken, and what lacks next are the segments
    with pytest.raises(ResultError) as refusal:
        await assembly.run(manifest)
    assert refusal.value.code == ("CORRUPT_SIDE" if damaged else "SEGMENT_MISSING")


@pytest.mark.parametrize("spoilt", ["unreadable", "second track"])
async def test_a_painted_video_is_not_thrown_away_for_a_track_beside_it(
    storage_connection: str, blobs: BlobStore, tmp_path: Path, spoilt: str
) -> None:
    side = tmp_path / "side"
    source, chunks, _ = split_with(side, Sound("flac"), Sound("wavpack"))
    # Given copied tracks that cannot be opened, or of which MP4 does not hold the second one
    source = source.model_copy(update={"container": "mp4"})
    if spoilt == "unreadable":
        side.write_bytes(b"nothing that FFmpeg knows")
    manifest = manifest_of(source, chunks, side)
    assembly, container = await assembly_of(storage_connection, blobs)
    assert manifest.side
    await blobs.create(container, manifest.side, side.read_bytes())
    for chunk in chunks:
        name = chunk_blob(manifest.job_id, chunk.chunk.index)
        await blobs.create(container, name, chunk.data, metadata=seal(chunk.data))
    # Then there is a result with all that fits, and a sentence about the rest
    published = await assembly.run(manifest)
    result = io.BytesIO(await blobs.read(container, published.name) or b"")
    with av.open(result) as file:
        assert sum(1 for _ in file.decode(video=0)) == 8
        codecs = [track.codec_context.codec.canonical_name for track in file.streams.audio]
    (loss,) = published.losses
    if spoilt == "unreadable":
        assert (codecs, "everything beside the picture is left out" in loss) == ([], True)
    else:
        assert codecs == ["flac"]
        assert loss.startswith("copied track 2, audio (wavpack), is left out")
