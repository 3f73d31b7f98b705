"""Reads blobs whole: what arrives incomplete is not a damaged blob, and has to be read again.

If an answer ends early, the SDK requests the rest once, and passes on what it has got by then.

Raises:
    TransientError: from every function, when storage sends fewer bytes than it announced.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

from azure.storage.blob.aio import StorageStreamDownloader

from shared.contracts.errors import TransientError

Download = StorageStreamDownloader[bytes]


async def read_whole(download: Download) -> bytes:
    """Return what is downloaded."""
    data = bytes(await download.readall())
    _check(len(data), download)
    return data


async def save_whole(download: Download, path: Path) -> None:
    """Write what is downloaded to a file."""
    with path.open("wb") as file:
        await download.readinto(file)
        _check(file.tell(), download)


async def parts_of_whole(download: Download) -> AsyncIterator[bytes]:
    """Yield what is downloaded in parts; the error comes after the last of them."""
    arrived = 0
    async for part in download.chunks():
        arrived += len(part)
        yield part
    _check(arrived, download)


def _check(arrived: int, download: Download) -> None:
    if arrived != download.size:
        raise TransientError(
            f"cannot read blob {download.container}/{download.name}: storage sent {arrived} of "
            f"{download.size} bytes"
        )
