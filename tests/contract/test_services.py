"""The services as processes and as parts: configuration errors, health, stalls, foreign events."""

from __future__ import annotations

import asyncio
import base64
import os
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio
from assembler_bench import DEADLINE_S, Bench, running, started
from ports import unused_port
from serving import python_process

from assembler.job import first_record
from local import azurite
from local.eventgrid import LocalTopic
from local.readiness import HttpReady
from shared.contracts.layout import chunk_blob, status_blob
from shared.contracts.messages import ChunkFailed, SegmentReady

session_loop = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize("service", ["splitter", "stylizer", "assembler"])
def test_a_service_without_configuration_says_all_that_is_missing(service: str) -> None:
    bare = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    ended = subprocess.run(
        [sys.executable, "-m", service], env=bare, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert "EVENTHUB_CONNECTION_STRING" in ended.stderr
    assert "STORAGE_CONNECTION_STRING" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_stylizer_configured_for_a_missing_gpu_does_not_run_on_the_cpu(
    storage_connection: str, eventhub_connection: str
) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "stylizer"],
        env={
            "PATH": os.environ["PATH"],
            "STORAGE_CONNECTION_STRING": storage_connection,
            "EVENTHUB_CONNECTION_STRING": eventhub_connection,
            "ENGINE": "cuda",
            "METRICS_PORT": "0",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    assert "ENGINE=cuda" in ended.stderr
    assert "Traceback" not in ended.stderr


@session_loop
async def test_a_service_that_waits_for_storage_while_it_starts_ends_on_sigterm(
    eventhub_connection: str,
) -> None:
    nowhere, port = azurite.connection_string(unused_port()), unused_port()
    env = {
        "PATH": os.environ["PATH"],
        "STORAGE_CONNECTION_STRING": nowhere,
        "EVENTHUB_CONNECTION_STRING": eventhub_connection,
        "STYLES_CONTAINER": "styles",
        "METRICS_PORT": str(port),
        "METRICS_HOST": "127.0.0.1",
    }
    async with python_process("-m", "stylizer", env=env) as process, asyncio.timeout(DEADLINE_S):
        starts = HttpReady(f"http://127.0.0.1:{port}/healthz")
        while not await starts.reached(""):
            await asyncio.sleep(0.1)
        process.terminate()
        assert await process.wait() == 0


@pytest_asyncio.fixture(loop_scope="session")
async def bench(storage_connection: str, eventhub_connection: str) -> AsyncIterator[Bench]:
    async with running(storage_connection, eventhub_connection) as bench:
        yield bench


@session_loop
async def test_a_failed_chunk_fails_its_job_with_the_chunks_cause(bench: Bench) -> None:
    job = uuid.uuid4().hex[:24]
    await bench.hub.by_job(started(job))
    await bench.hub.by_job(ChunkFailed(job_id=job, chunk=7, code="CORRUPT_CHUNK", message="why"))
    # What comes after the end changes nothing any more
    await bench.hub.by_job(SegmentReady(job_id=job, chunk=1, frames=32))
    status = await bench.ended(job)
    assert status.error
    assert (status.error.code, status.error.message) == ("CORRUPT_CHUNK", "chunk 7: why")


@session_loop
async def test_invalid_events_become_dead_letters_and_hold_up_nobody(bench: Bench) -> None:
    orphan, job = uuid.uuid4().hex[:24], uuid.uuid4().hex[:24]
    await bench.hub.by_job(SegmentReady(job_id=orphan, chunk=1, frames=32))
    await bench.hub.by_job(started(job))
    await bench.hub.by_job(ChunkFailed(job_id=job, chunk=0, code="X", message="x"))
    assert (await bench.ended(job)).state == "failed"

    async def dead_lettered() -> bool:
        return any(
            orphan.encode() in base64.b64decode(letter["body_base64"])
            and "SegmentReady of a job that was never started" in letter["cause"]
            for letter in await bench.dead_letters()
        )

    await bench.until(dead_lettered)


@session_loop
async def test_a_job_whose_end_a_dying_assembler_left_untold_is_announced(
    storage_connection: str, eventhub_connection: str
) -> None:
    job, arrived = uuid.uuid4().hex[:24], asyncio.Queue[dict]()
    async with (
        LocalTopic(0, "key", arrived.put_nowait) as topic,
        running(storage_connection, eventhub_connection, **told_to(topic.endpoint)) as bench,
    ):
        result = f"{job}.mp4"
        await bench.blobs.create("results", result, b"a video", metadata={"job_id": job})
        record = first_record(started(job)).model_copy(update={"state": "done", "result": result})
        await bench.blobs.create(bench.settings.jobs_container, status_blob(job), record.to_json())
        await bench.hub.by_job(SegmentReady(job_id=job, chunk=1, frames=32))
        [told] = await announced(arrived, [job])
    assert told["id"] == f"{job}-done"
    assert told["data"]["result"] == result


@session_loop
async def test_jobs_end_while_the_topic_is_unavailable_and_are_announced_when_it_is_back(
    storage_connection: str, eventhub_connection: str
) -> None:
    jobs, arrived = [uuid.uuid4().hex[:24] for _ in range(3)], asyncio.Queue[dict]()
    async with LocalTopic(0, "key", arrived.put_nowait) as topic:
        endpoint = topic.endpoint
    async with (
        AsyncExitStack() as back,  # until the assembler, which has more to announce, has ended
        running(storage_connection, eventhub_connection, **told_to(endpoint)) as bench,
    ):
        for job in jobs:
            await bench.hub.by_job(started(job))
            await bench.hub.by_job(ChunkFailed(job_id=job, chunk=0, code="X", message="x"))
        for job in jobs:
            assert (await bench.ended(job)).state == "failed"
        port = int(endpoint.split(":")[2].split("/")[0])
        await back.enter_async_context(LocalTopic(port, "key", arrived.put_nowait))
        told = await announced(arrived, jobs)
    assert {event["id"] for event in told} == {f"{job}-failed" for job in jobs}


@session_loop
async def test_a_segment_that_arrives_while_its_jobs_end_is_announced_is_deleted(
    storage_connection: str, eventhub_connection: str
) -> None:
    job = uuid.uuid4().hex[:24]
    async with LocalTopic(0, "key", lambda _event: None) as topic:
        endpoint = topic.endpoint
    port = int(endpoint.split(":")[2].split("/")[0])
    async with (
        AsyncExitStack() as back,
        running(storage_connection, eventhub_connection, **told_to(endpoint)) as bench,
    ):
        segments = bench.settings.segments_container

        async def swept() -> bool:
            return await bench.blobs.facts(segments, chunk_blob(job, 0)) is None

        await bench.hub.by_job(started(job))
        await bench.hub.by_job(ChunkFailed(job_id=job, chunk=1, code="X", message="x"))
        await bench.ended(job)
        # It is handed in while the topic is away
        await bench.blobs.create(segments, chunk_blob(job, 0), b"late")
        await bench.hub.by_job(SegmentReady(job_id=job, chunk=0, frames=8))
        await back.enter_async_context(LocalTopic(port, "key", lambda _event: None))
        await bench.until(swept)


async def announced(arrived: asyncio.Queue[dict], jobs: list[str]) -> list[dict]:
    """Wait for an announcement of each job; some may come twice."""
    found: dict[str, dict] = {}
    async with asyncio.timeout(DEADLINE_S):
        while found.keys() != {*jobs}:
            event = await arrived.get()
            if event["subject"] in jobs:
                found[event["subject"]] = event
    return list(found.values())


def told_to(endpoint: str) -> dict[str, str]:
    return {"eventgrid_topic_endpoint": endpoint, "eventgrid_topic_key": "key"}
