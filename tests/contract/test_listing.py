"""The list of jobs, from one listing of storage, without reading every record."""

from __future__ import annotations

import asyncio
import time

import pytest
from azure.storage.blob.aio import BlobServiceClient

from client import Containers, Pipeline, Status, StyleRequest
from shared.contracts.layout import manifest_blob, progress_blob, status_blob
from shared.contracts.status import Failure, Waiting, read_summary, write_summary


def job(number: int, **more: object) -> Status:
    return Status(
        job_id=f"{number:024x}",
        state="stylizing",
        video_name=f"日本 {number}.mp4",
        video_url="https://example.org/x.mp4",
        style=StyleRequest(style="udnie", strength=0.5),
        started_at=f"2026-01-01T00:00:{number:02}.000+00:00",
        updated_at="2026-01-01T00:01:00.000+00:00",
        frames=100,
        frames_stylized=40,
        **more,
    )


async def test_one_listing_gives_all_jobs_newest_first(storage_connection: str) -> None:
    jobs = [
        job(1),
        job(2, waiting=Waiting(reason="a stylizer", since="2026-01-01T00:00:30.000+00:00")),
        job(3, error=Failure(code="X", message="It „broke“: <&>.")),
    ]
    async with BlobServiceClient.from_connection_string(storage_connection) as account:
        container = await account.create_container("listed-jobs")
        for status in jobs:
            # The record itself is not looked at.
            await container.upload_blob(
                status_blob(status.job_id), b"-", metadata=write_summary(status)
            )
        # One of a version that wrote no summary.
        await container.upload_blob(status_blob(job(4).job_id), job(4).to_json())
        for name in (manifest_blob(jobs[0].job_id), progress_blob(jobs[0].job_id)):
            await container.upload_blob(name, b"-")

        assert await Pipeline(account, Containers(jobs="listed-jobs")).list() == [
            job(4),
            *reversed(jobs),
        ]


@pytest.mark.slow
async def test_a_thousand_jobs_are_listed_in_about_a_second(storage_connection: str) -> None:
    async with BlobServiceClient.from_connection_string(storage_connection) as account:
        container = await account.create_container("many-jobs")
        writing = asyncio.Semaphore(16)

        async def write(number: int) -> None:
            status = job(number % 60).model_copy(update={"job_id": f"{number:024x}"})
            async with writing:
                await container.upload_blob(
                    status_blob(status.job_id), status.to_json(), metadata=write_summary(status)
                )

        await asyncio.gather(*map(write, range(1000)))
        began = time.perf_counter()
        found = await Pipeline(account, Containers(jobs="many-jobs")).list()
        took_s = time.perf_counter() - began
    assert len(found) == 1000
    print(f"1,000 jobs listed in {took_s:.2f} s")
    assert took_s < 5, "the promise is one second; a busy machine gets five"


def test_a_summary_too_long_for_metadata_is_left_out() -> None:
    status = job(1).model_copy(update={"video_name": "日" * 1024, "result": "日" * 1024})
    assert write_summary(status) == {}
    assert read_summary({}) is None


def test_a_summary_leaves_out_details_of_single_jobs() -> None:
    status = job(1, warnings=("a" * 9000,))
    assert read_summary(write_summary(status)) == job(1)
