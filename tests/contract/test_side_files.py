"""The copied tracks are stored with a seal; if they are damaged, only they are left out."""

from __future__ import annotations

import hashlib
import io
import uuid
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import av
import pytest
import pytest_asyncio
from assembler_bench import running, started
from manifests import store_whole
from prometheus_client import CollectorRegistry
from splits_bench import bench_of
from videos import Sound, Video

from assembler import assembly
from assembler.assembly import Assembly
from assembler.metrics import AssemblerMetrics
from assembler.mux import mux
from assembler.publication import Publication
from assembler.records import Records
from assembler.settings import AssemblerSettings
from shared.contracts.errors import ResultError
from shared.contracts.layout import chunk_blob, manifest_blob, side_blob
from shared.contracts.manifest import Manifest, Source
from shared.contracts.messages import SegmentReady, SplitCompleted
from shared.contracts.style_request import StyleRequest
from shared.storage.accounts import storage_client
from shared.storage.blobs import BlobStore
from shared.storage.seals import file_digest, seal
from splitter import job as split_job
from splitter.decoder.forks import ForkServer
from splitter.decoder.process import ReadRange, split_in_child
from splitter.decoder.wire import Job
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


def manifest_of(source: Source, chunks: list[EncodedChunk], side: Path | None) -> Manifest:
    job, digest = uuid.uuid4().hex[:24], side and file_digest(side)
    return Manifest(
        job_id=job,
        video_url="u",
        video_name=f"{job}.mp4",
        etag="e",
        style=StyleRequest(style="starry-night"),
        source=source,
        chunks=tuple(chunk.chunk for chunk in chunks),
        frames=sum(chunk.chunk.frames for chunk in chunks),
        side=digest and side_blob(job, source.container, digest),
        side_sha256=digest,
    )


async def assembly_of(
    connection: str, blobs: BlobStore, registry: CollectorRegistry | None = None
) -> tuple[Assembly, str]:
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
    publication = Publication(blobs, container, Records(blobs, *[container] * 3, redrives=0))
    metrics = AssemblerMetrics(registry or CollectorRegistry())
    return Assembly(settings, blobs, publication, metrics), container


async def store(
    blobs: BlobStore, container: str, manifest: Manifest, chunks: list[EncodedChunk]
) -> None:
    for chunk in chunks:
        name = chunk_blob(manifest.job_id, chunk.chunk.index)
        await blobs.create(container, name, chunk.data, metadata=seal(chunk.data))


async def published_tracks(blobs: BlobStore, container: str, name: str | None) -> list[str]:
    """Return the codecs beside the eight frames that a published result must hold."""
    assert name
    with av.open(io.BytesIO(await blobs.read(container, name) or b"")) as file:
        assert sum(1 for _ in file.decode(video=0)) == 8
        return [track.codec_context.codec.canonical_name for track in file.streams.audio]


@pytest.mark.parametrize(
    ("what", "codes", "why"),
    [
        ("whole", {}, ""),
        ("damaged", {"CORRUPT_SIDE": 1}, "damaged in storage"),
        ("gone", {"SIDE_MISSING": 1}, "no longer exist in storage"),
    ],
)
async def test_sound_that_storage_does_not_return_is_left_out_of_the_result(
    storage_connection: str,
    blobs: BlobStore,
    tmp_path: Path,
    what: str,
    codes: dict[str, int],
    why: str,
) -> None:
    side = tmp_path / "side"
    source, chunks, _ = split_with(side, Sound(language="fra"), Sound("ac3"))
    manifest = manifest_of(source, chunks, side)
    registry = CollectorRegistry()
    made, container = await assembly_of(storage_connection, blobs, registry)
    content = bytearray(side.read_bytes())
    content[len(content) // 2] ^= what == "damaged"
    assert manifest.side
    if what != "gone":
        await blobs.create(container, manifest.side, bytes(content))
    await store(blobs, container, manifest, chunks)
    published = await made.run(manifest)
    found = await published_tracks(blobs, container, published.name)
    assert found == (["aac", "ac3"] if what == "whole" else [])
    # Whoever looks at the job reads which tracks; whoever runs the service sees that it happened
    assert len(published.losses) == len(codes)
    for loss in published.losses:
        assert loss.startswith("copied track 1, audio (aac, fra); copied track 2, audio (ac3); ")
        assert why in loss
    assert lost_tracks(registry) == codes


def lost_tracks(registry: CollectorRegistry) -> dict[str, float]:
    return {
        sample.labels["code"]: sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.name == "assembler_lost_tracks_total" and sample.value
    }


async def test_tracks_that_end_their_assembler_are_left_out_before_the_video_is_given_up(
    storage_connection: str, eventhub_connection: str, tmp_path: Path
) -> None:
    side = tmp_path / "side"
    source, chunks, _ = split_with(side, Sound())
    manifest = manifest_of(source, chunks, side)
    job = manifest.job_id
    async with running(storage_connection, eventhub_connection, assembly_attempts=2) as bench:
        frames = bench.settings.frames_container
        await store(bench.blobs, bench.settings.segments_container, manifest, chunks)
        assert manifest.side
        await bench.blobs.create(frames, manifest.side, side)
        await bench.hub.by_job(started(job))
        await store_whole(bench.blobs, frames, manifest)
        facts = await bench.blobs.facts(frames, manifest_blob(job))
        assert facts
        # Two assemblers have begun with it, and were heard of no more
        begun = {**facts.metadata, "assemblies": "2"}
        await bench.blobs.annotate(frames, manifest_blob(job), begun, etag=facts.etag)
        await bench.hub.by_job(SplitCompleted(job_id=job, chunks=len(chunks), frames=8))
        for chunk in chunks:
            of_chunk = SegmentReady(job_id=job, chunk=chunk.chunk.index, frames=chunk.chunk.frames)
            await bench.hub.by_job(of_chunk)
        status = await bench.ended(job)
        results = bench.settings.results_container
        assert await published_tracks(bench.blobs, results, status.result) == []
    assert status.state == "degraded"
    assert status.warnings[-1].startswith("copied track 1, audio (aac); ")
    assert "2 times" in status.warnings[-1]


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
    made, container = await assembly_of(storage_connection, blobs)
    assert manifest.side
    await blobs.create(container, manifest.side, side.read_bytes())
    await store(blobs, container, manifest, chunks)
    # Then there is a result with all that fits, and a sentence about the rest
    published = await made.run(manifest)
    codecs = await published_tracks(blobs, container, published.name)
    (loss,) = published.losses
    if spoilt == "unreadable":
        assert codecs == []
        assert loss.startswith("copied track 1, audio (flac); copied track 2, audio (wavpack); ")
    else:
        assert codecs == ["flac"]
        assert loss.startswith("copied track 2, audio (wavpack), is left out")


def flip(path: Path) -> None:
    """Change a byte in the middle of a file, as a disk may."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


async def test_sound_that_the_assemblers_disk_damages_after_its_check_is_not_published(
    storage_connection: str, blobs: BlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    side = tmp_path / "side"
    source, chunks, _ = split_with(side, Sound())
    manifest = manifest_of(source, chunks, side)
    made, container = await assembly_of(storage_connection, blobs)
    assert manifest.side
    await blobs.create(container, manifest.side, side)
    await store(blobs, container, manifest, chunks)

    def mux_from_damaged(manifest: Manifest, segments: object, side: Path, *more: object) -> str:
        flip(side)
        return mux(manifest, segments, side, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(assembly, "mux", mux_from_damaged)
    with pytest.raises(ResultError) as refused:
        await made.run(manifest)
    assert refused.value.code == "CORRUPT_RESULT"
    stored = {name async for name in blobs.names(container)}
    assert all(name.startswith(f"{manifest.job_id}/") for name in stored)


async def test_sound_that_the_splitters_disk_damages_is_split_once_more(
    storage_connection: str,
    eventhub_connection: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bad, splits = {1}, 0

    async def split_and_damage(server: ForkServer, read: ReadRange, job: Job, **more: float):  # type: ignore[no-untyped-def]
        nonlocal splits
        splits += 1
        async with aclosing(split_in_child(server, read, job, **more)) as events:
            async for event in events:
                if isinstance(event, SplitEnd) and splits in bad:
                    flip(job.side_path)
                yield event

    monkeypatch.setattr(split_job, "split_in_child", split_and_damage)
    loud = Video(frames=16, sounds=[Sound()]).make()
    async with bench_of(storage_connection, eventhub_connection) as bench, bench.splitting():
        once = await bench.job("once.mp4", await bench.put("once.mp4", loud))
        manifest = await bench.sealed(once.job_id)
        assert manifest.side
        frames = bench.settings.frames_container
        stored = await bench.blobs.read(frames, manifest.side) or b""
        assert hashlib.sha256(stored).hexdigest() == manifest.side_sha256
        assert splits == 2

        bad |= {3, 4}
        await bench.put("twice.mp4", loud)

        async def failed() -> bool:
            return bench.failed() == {"CORRUPT_SIDE"}

        await bench.until(failed)
        assert splits == 4
