"""Ctrl-C in ``run`` and ``submit``: what a stack that stays has got, and what is said of it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from cli.command_line import build_parser
from cli.commands import run, submit
from cli.commands.place import Place
from cli.interruption import Interrupted
from client import Account, Pipeline, Submission, View, open_pipeline
from client.account import Containers
from local.defaults import SAMPLE
from shared.contracts.layout import status_blob
from shared.contracts.status import Status, utc_now
from shared.contracts.style_request import StyleRequest
from shared.storage.accounts import storage_client
from shared.storage.blobs import BlobStore

pytestmark = pytest.mark.asyncio(loop_scope="session")

STYLE = StyleRequest(style="starry-night")


@pytest_asyncio.fixture(loop_scope="session")
async def account(storage_connection: str) -> Account:
    """An account in which no service takes anything up."""
    name = uuid.uuid4().hex[:8]
    containers = Containers(f"u{name}", f"r{name}", f"j{name}")
    async with storage_client(storage_connection, None, None) as client:
        for container in (containers.uploads, containers.results, containers.jobs):
            await client.create_container(container)
    return Account(storage_connection, containers=containers)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Is set as soon as a job is watched, so once its upload is complete."""
    begun = asyncio.Event()
    watch = Pipeline.watch

    def watching(self: Pipeline, job: str) -> AsyncIterator[View]:
        begun.set()
        return watch(self, job)

    monkeypatch.setattr(Pipeline, "watch", watching)
    return begun


def record(job: Submission) -> Status:
    return Status(
        job_id=job.job_id,
        state="queued",
        video_name=job.video_name,
        video_url="u",
        style=STYLE,
        started_at=utc_now(),
        updated_at=utc_now(),
    )


async def test_a_submission_that_nobody_has_taken_up_is_withdrawn(
    account: Account, blobs: BlobStore
) -> None:
    uploads = account.containers.uploads
    async with open_pipeline(account) as pipeline:
        submission = await pipeline.submit(SAMPLE, STYLE)
        await pipeline.withdraw(submission)
        assert not await blobs.exists(uploads, submission.video_name)

        # A later upload of the same name is somebody else's.
        await pipeline.submit(SAMPLE, STYLE)
        await pipeline.withdraw(submission)
        assert await blobs.exists(uploads, submission.video_name)


async def test_a_submission_whose_job_has_begun_is_cancelled(
    account: Account, blobs: BlobStore
) -> None:
    async with open_pipeline(account) as pipeline:
        submission = await pipeline.submit(SAMPLE, STYLE)
        job = submission.job_id
        queued = record(submission).to_json()
        await blobs.create(account.containers.jobs, status_blob(job), queued)
        for _ in range(2):
            await pipeline.withdraw(submission)
            assert (await pipeline.status(job)).state == "cancelled"
        assert await blobs.exists(account.containers.uploads, submission.video_name)


async def test_a_run_that_is_interrupted_leaves_no_upload_to_be_painted(
    account: Account,
    blobs: BlobStore,
    watched: asyncio.Event,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    @asynccontextmanager
    async def running(*_: object) -> AsyncIterator[Place]:
        async with open_pipeline(account) as pipeline:
            yield Place(pipeline, tmp_path, keep=lambda: None)

    monkeypatch.setattr(run, "open_place", running)
    words = ["run", str(SAMPLE), "-q", "-o", f"{tmp_path}/"]
    painting = asyncio.create_task(run.run(build_parser().parse_args(words)))
    async with asyncio.timeout(60):
        await watched.wait()
        painting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await painting
    assert [name async for name in blobs.names(account.containers.uploads)] == []


async def test_a_submit_that_is_interrupted_says_that_its_uploads_stay(
    account: Account,
    blobs: BlobStore,
    watched: asyncio.Event,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(submit, "find_account", lambda _directory: account)
    words = ["submit", str(SAMPLE), "--wait", "-q"]
    waiting = asyncio.create_task(submit.submit(build_parser().parse_args(words)))
    async with asyncio.timeout(60):
        await watched.wait()
        waiting.cancel()
        with pytest.raises(Interrupted, match="uploaded is still painted"):
            await waiting
    assert [name async for name in blobs.names(account.containers.uploads)] == [SAMPLE.name]
