"""Uploads over lines that are slow or fall silent, and of videos that become shorter meanwhile."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from azure.core.exceptions import ResourceNotFoundError
from lines import Line

from client import Account, ConfigurationError, Pipeline, StyleRequest, open_pipeline, pipeline
from client.account import Containers
from shared.contracts.errors import TransientError
from shared.storage import accounts
from shared.storage.accounts import storage_client

pytestmark = pytest.mark.asyncio(loop_scope="session")

REQUEST = StyleRequest(style="udnie")
PATIENCE_S = 40.0


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """A file of several blocks."""
    path = tmp_path / "clip.mp4"
    path.write_bytes(os.urandom(1 << 20) * 20)
    return path


@asynccontextmanager
async def submitting_to(storage: str, container: str) -> AsyncIterator[Pipeline]:
    account = Account(storage, containers=Containers(uploads=container))
    async with asyncio.timeout(PATIENCE_S), open_pipeline(account) as jobs:
        yield jobs


@asynccontextmanager
async def line_to(storage: str) -> AsyncIterator[tuple[Line, str]]:
    port = urlsplit(storage.partition("BlobEndpoint=")[2]).port
    assert port
    async with Line(port) as line:
        yield line, storage.replace(f":{port}", f":{line.port}")


async def has_arrived(storage: str, container: str, video: Path) -> bool:
    async with storage_client(storage, None, None) as client:
        stored = await client.get_blob_client(container, video.name).download_blob()
        return await stored.readall() == await asyncio.to_thread(video.read_bytes)


async def test_a_block_on_a_connection_that_falls_silent_is_sent_again(
    storage_connection: str, container: str, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "ANSWER_S", 1)
    monkeypatch.setattr(pipeline, "BLOCK_S", 2)
    async with line_to(storage_connection) as (line, storage):
        line.falls_silent_at, line.silences = b"comp=block&", 1
        async with submitting_to(storage, container) as jobs:
            await jobs.submit(video, REQUEST)
    assert line.silences == 0
    assert await has_arrived(storage_connection, container, video)


async def test_storage_that_never_answers_is_one_clear_sentence(
    storage_connection: str, container: str, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "BLOCK_S", 0.5)
    async with line_to(storage_connection) as (line, storage):
        line.falls_silent_at, line.silences = b"comp=block&", 9
        async with submitting_to(storage, container) as jobs:
            said = f"cannot write blob {container}/clip.mp4: storage has not answered in time"
            with pytest.raises(TransientError, match=said):
                await jobs.submit(video, REQUEST)


async def test_a_block_may_take_longer_than_an_answer(
    storage_connection: str, container: str, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "ANSWER_S", 1)
    async with line_to(storage_connection) as (line, storage):
        line.bytes_per_s = 4_000_000
        async with submitting_to(storage, container) as jobs:
            await jobs.submit(video, REQUEST)
    assert await has_arrived(storage_connection, container, video)


async def test_a_video_that_becomes_shorter_while_it_is_uploaded_is_named_at_once(
    storage_connection: str, container: str, video: Path
) -> None:
    os.truncate(video, 1 << 30)
    async with (
        storage_client(storage_connection, None, None) as client,
        submitting_to(storage_connection, container) as jobs,
    ):
        upload = asyncio.create_task(jobs.submit(video, REQUEST))
        blob = client.get_blob_client(container, video.name)
        blocks: list[object] = []
        while not blocks:
            with suppress(ResourceNotFoundError):
                _, blocks = await blob.get_block_list("uncommitted")
        await asyncio.to_thread(os.truncate, video, 1 << 20)
        said = f"{video} has become shorter while it was uploaded"
        with pytest.raises(ConfigurationError, match=said):
            await upload
        assert not await blob.exists()
