"""Styles in a blob container: fetched when a service starts, then used like any local folder.

At its top level, the container holds what a styles folder holds: ``NAME.onnx`` and ``NAME.json``.
Upload networks before their cards: a service that starts in between refuses a card without one.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TypeVar

import structlog

from shared.contracts.errors import ConfigurationError
from shared.service.settings import StorageSettings
from shared.storage.blobs import BlobStore
from shared.storage.retry import Retry
from shared.storage.work_folders import lasting_work_folder, sweep_work_folders

log = structlog.get_logger()
S = TypeVar("S", bound=StorageSettings)


async def fetch_styles(settings: S, blobs: BlobStore, retry: Retry) -> S:
    """Return ``settings`` with a styles folder that holds what ``STYLES_CONTAINER`` holds.

    Without that setting they are returned unchanged. The folder lasts as long as this process;
    child processes find it through the environment, which is changed accordingly.

    Raises:
        ConfigurationError: both a folder and a container are set.
    """
    container = settings.styles_container
    if not container:
        return settings
    if settings.styles_dir:
        raise ConfigurationError(
            ["STYLES_DIR and STYLES_CONTAINER are mutually exclusive: set one of them"]
        )
    await asyncio.to_thread(sweep_work_folders, None)
    folder = lasting_work_folder() / "styles"
    folder.mkdir()
    count = await retry(lambda: _fetch(blobs, container, folder))
    log.info("styles fetched", container=container, files=count)
    os.environ["STYLES_DIR"] = str(folder)
    os.environ.pop("STYLES_CONTAINER", None)
    return settings.model_copy(update={"styles_dir": str(folder), "styles_container": None})


async def _fetch(blobs: BlobStore, container: str, folder: Path) -> int:
    names = [
        name
        async for name in blobs.names(container)
        if "/" not in name and name.endswith((".json", ".onnx"))
    ]
    for name in names:
        await blobs.download(container, name, folder / name)
    return len(names)
