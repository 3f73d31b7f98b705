"""Azurite says what it writes to, and uploads are looked for when it says so."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest_asyncio
from azure.core.exceptions import ResourceExistsError
from azure.storage.blob.aio import BlobClient, BlobServiceClient
from azurites import azurite_process
from ports import unused_port

from local import azurite
from local.write_reports import WriteReports

DEADLINE_S = 60.0


class Storage:
    """An Azurite that reports what it writes to, to ``reports``."""

    def __init__(self, account: BlobServiceClient, reports: WriteReports) -> None:
        self.account = account
        self.reports = reports
        self._uploaded = reports.written(lambda container: container == "uploads")
        self._others = reports.written(lambda container: container == "others")

    async def told(self) -> bool:
        """Return whether a write to the uploads was reported since the last call."""
        # Reports come in order, so whatever was to be reported is, once a later write was.
        await self.account.get_blob_client("others", "last").upload_blob(b"", overwrite=True)
        async with asyncio.timeout(DEADLINE_S):
            await self._others.wait()
        told = self._uploaded.is_set()
        self._uploaded.clear()
        self._others.clear()
        return told


@pytest_asyncio.fixture
async def storage(tmp_path: Path) -> AsyncIterator[Storage]:
    """An Azurite of the test's own, with containers for uploads and for others."""
    process = azurite_process(tmp_path, port := unused_port())
    with WriteReports() as reports:
        own = azurite.environment(azurite.ACCOUNT_KEY, reports.pipe)
        process.command = replace(
            process.command,
            environment={"PATH": os.environ["PATH"]} | own,
            pass_fds=(reports.pipe,),
        )
        await process.start()
        connection = azurite.connection_string(port)
        async with BlobServiceClient.from_connection_string(connection) as account:
            for container in ("uploads", "others"):
                await account.create_container(container)
            storage = Storage(account, reports)
            await storage.told()
            yield storage
        await process.stop()


async def test_every_way_to_write_a_blob_is_reported(storage: Storage) -> None:
    uploads = storage.account.get_container_client("uploads")
    video = uploads.get_blob_client("a video.mp4")
    await video.upload_blob(b"at once")
    assert await storage.told()
    await video.set_blob_metadata({"style": "udnie"})
    assert await storage.told()
    await video.stage_block("1", b"in blocks")
    await video.commit_block_list(["1"])
    assert await storage.told()
    source = storage.account.get_blob_client("others", "last")
    await uploads.get_blob_client("copied.mp4").start_copy_from_url(source.url)
    assert await storage.told()


async def test_neither_reading_nor_a_refused_write_is_reported(storage: Storage) -> None:
    video = storage.account.get_blob_client("uploads", "video.mp4")
    await video.upload_blob(b"video")
    assert await storage.told()

    await _read(video)
    with suppress(ResourceExistsError):
        await video.upload_blob(b"another")
    assert not await storage.told()


async def _read(video: BlobClient) -> None:
    assert await (await video.download_blob()).readall() == b"video"
    assert await video.get_blob_properties()


async def test_reports_that_nobody_can_receive_do_not_hold_up_storage(storage: Storage) -> None:
    video = storage.account.get_blob_client("uploads", "video.mp4")
    loop = asyncio.get_running_loop()
    loop.remove_reader(storage.reports._read_end)
    with suppress(BlockingIOError):
        while True:
            os.write(storage.reports.pipe, b"uploads\n" * 512)
    async with asyncio.timeout(DEADLINE_S):
        for _ in range(3):
            await video.upload_blob(b"video", overwrite=True)
    loop.add_reader(storage.reports._read_end, storage.reports._read)
    assert await storage.told()
