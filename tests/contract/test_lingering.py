"""Segments of ended jobs are kept for their viewers, for a limited time."""

from __future__ import annotations

import asyncio
import secrets
from datetime import UTC, datetime, timedelta

import pytest
from azure.storage.blob import StandardBlobTier
from azure.storage.blob.aio import BlobServiceClient
from ports import unused_port

from assembler.lingering import Lingering
from assembler.settings import AssemblerSettings
from local import azurite
from shared.contracts.layout import chunk_blob, status_blob
from shared.contracts.status import State, Status
from shared.contracts.style_request import StyleRequest
from shared.storage.blobs import BlobStore
from shared.storage.statuses import mark_end

LINGER_S = 60.0


def settings_of(storage_connection: str, linger_s: float = LINGER_S) -> AssemblerSettings:
    suffix = secrets.token_hex(4)
    return AssemblerSettings(
        eventhub_connection_string="given",
        storage_connection_string=storage_connection,
        segments_container=f"segments-{suffix}",
        jobs_container=f"jobs-{suffix}",
        frames_container=f"frames-{suffix}",
        segments_linger_s=linger_s,
    )


async def create_containers(client: BlobServiceClient, settings: AssemblerSettings) -> None:
    kinds = settings.segments_container, settings.jobs_container, settings.frames_container
    for container in kinds:
        await client.create_container(container)


async def job_of(blobs: BlobStore, settings: AssemblerSettings, state: State, ago_s: float) -> str:
    """Store two segments of a job, and a record of its state."""
    at = (datetime.now(UTC) - timedelta(seconds=ago_s)).isoformat()
    status = Status(
        job_id=secrets.token_hex(12),
        state=state,
        video_name="a.mp4",
        video_url="x",
        style=StyleRequest(style="udnie"),
        started_at=at,
        updated_at=at,
    )
    name = status_blob(status.job_id)
    await blobs.create(settings.jobs_container, name, status.to_json())
    for chunk in range(2):
        segment = chunk_blob(status.job_id, chunk)
        await blobs.create(settings.segments_container, segment, b"segment")
    return status.job_id


async def test_an_outage_of_storage_is_foreseen() -> None:
    connection = azurite.connection_string(unused_port())
    async with BlobServiceClient.from_connection_string(connection, retry_total=0) as client:
        await Lingering(settings_of(connection), BlobStore(client)).delete_overdue()


@pytest.mark.asyncio(loop_scope="session")
async def test_segments_are_deleted_when_their_job_ended_long_enough_ago(storage_connection):
    settings = settings_of(storage_connection)
    async with BlobServiceClient.from_connection_string(storage_connection) as client:
        await create_containers(client, settings)
        blobs = BlobStore(client)

        over = await job_of(blobs, settings, "done", LINGER_S + 1)
        failed = await job_of(blobs, settings, "failed", LINGER_S + 1)
        fresh = await job_of(blobs, settings, "done", 1)
        open_ = await job_of(blobs, settings, "stylizing", 10 * LINGER_S)
        unrecorded = secrets.token_hex(12)
        await blobs.create(settings.segments_container, chunk_blob(unrecorded, 0), b"segment")

        await Lingering(settings, blobs).delete_overdue()

        left = {folder async for folder in blobs.folders(settings.segments_container)}
    assert left == {fresh, open_, unrecorded}
    assert over not in left
    assert failed not in left


@pytest.mark.asyncio(loop_scope="session")
async def test_a_job_whose_record_cannot_be_read_keeps_no_others_segments(storage_connection):
    settings = settings_of(storage_connection)
    async with BlobServiceClient.from_connection_string(storage_connection) as client:
        await create_containers(client, settings)
        blobs = BlobStore(client)
        jobs = [await job_of(blobs, settings, "done", LINGER_S + 1) for _ in range(30)]
        record = client.get_blob_client(settings.jobs_container, status_blob(jobs[0]))
        await record.set_standard_blob_tier(StandardBlobTier.ARCHIVE)

        await Lingering(settings, blobs).delete_overdue()

        left = {folder async for folder in blobs.folders(settings.segments_container)}
    assert left == {jobs[0]}


@pytest.mark.asyncio(loop_scope="session")
async def test_segments_wait_for_a_record_that_comes_late_and_not_for_that_of_a_deleted_job(
    storage_connection,
):
    settings = settings_of(storage_connection, linger_s=0.05)
    new, deleted = secrets.token_hex(12), secrets.token_hex(12)
    async with BlobServiceClient.from_connection_string(storage_connection) as client:
        await create_containers(client, settings)
        blobs = BlobStore(client)
        for job in (new, deleted):
            await blobs.create(settings.segments_container, chunk_blob(job, 0), b"segment")
        await mark_end(blobs, settings.frames_container, deleted)
        lingering, left = Lingering(settings, blobs), {new, deleted}
        async with asyncio.timeout(60):
            while deleted in left:
                await lingering.delete_overdue()
                left = {folder async for folder in blobs.folders(settings.segments_container)}
    assert left == {new}
