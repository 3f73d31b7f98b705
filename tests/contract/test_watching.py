"""A job is watched through an outage of storage, and until it has ended or is deleted."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from azure.storage.blob.aio import BlobServiceClient
from azurites import azurite_process
from ports import unused_port

import client.polling
from cli.commands.common import Patience, wait_for
from cli.progress import JobProgress
from cli.report import Report
from client import Pipeline, Status, StyleRequest, Submission, TransientError
from client.account import Containers
from client.pipeline import POLL_S
from local import azurite
from shared.contracts.layout import status_blob

JOB = "7" * 24
DEADLINE_S = 90.0


def record(state: str) -> bytes:
    return Status(
        job_id=JOB,
        state=state,
        video_name="clip.mp4",
        video_url="https://example.org/clip.mp4",
        style=StyleRequest(style="udnie"),
        started_at="2026-01-01T00:00:00.000+00:00",
        updated_at="2026-01-01T00:01:00.000+00:00",
    ).to_json()


@asynccontextmanager
async def running(directory: Path, port: int) -> AsyncIterator[None]:
    process = azurite_process(directory, port)
    await process.start()
    try:
        yield
    finally:
        await process.stop()


async def test_a_watch_outlasts_an_outage_but_not_forever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = unused_port()
    account = BlobServiceClient.from_connection_string(
        azurite.connection_string(port), retry_total=0
    )
    async with account:
        with pytest.raises(TransientError):
            await anext(Pipeline(account).watch(JOB))

        watch = Pipeline(account).watch(JOB)
        async with running(tmp_path, port):
            jobs = await account.create_container("jobs")
            await jobs.upload_blob(status_blob(JOB), record("stylizing"))
            assert (await anext(watch)).status.state == "stylizing"
        during = asyncio.ensure_future(anext(watch))
        # So long that storage has been asked several times.
        await asyncio.wait([during], timeout=4 * POLL_S)
        assert not during.done()
        async with running(tmp_path, port):
            assert (await during).status.state == "stylizing"

        monkeypatch.setattr(client.polling, "OUTAGE_S", 0.0)
        with pytest.raises(TransientError):
            async for _view in watch:
                pass


async def test_who_waits_for_a_job_that_somebody_else_deletes_is_told(
    storage_connection: str,
) -> None:
    async with BlobServiceClient.from_connection_string(storage_connection) as account:
        jobs = await account.create_container(f"j{uuid.uuid4().hex[:8]}")
        pipeline = Pipeline(account, Containers(jobs=jobs.container_name))
        await jobs.upload_blob(status_blob(JOB), record("stylizing"))
        seen = asyncio.Event()

        class Shown(JobProgress):
            def show(self, *_args: object) -> None:
                seen.set()

        with Shown(quiet=True) as progress:
            meter, submission = progress.add("clip.mp4"), Submission(JOB, "clip.mp4", "e")
            waiting = asyncio.create_task(
                wait_for(pipeline, submission, progress, meter, Patience(), "unnoticed")
            )
            await seen.wait()
            await jobs.delete_blob(status_blob(JOB))
            async with asyncio.timeout(DEADLINE_S):
                report = Report.of(await waiting)
    assert not report.succeeded
    assert report.sentence() == "clip.mp4: failed: somebody has deleted the job"
