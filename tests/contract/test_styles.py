"""Styles in a blob container: services fetch them at start, and refuse bad ones by name."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from azure.core.exceptions import ResourceExistsError
from ports import unused_port
from prometheus_client import CollectorRegistry
from styles import hang, network

from local.processes import Command, Supervised
from local.readiness import HttpReady
from local.stack import CONTAINERS
from shared.contracts.errors import ConfigurationError
from shared.service.settings import ServiceSettings
from shared.storage.accounts import storage_client
from shared.storage.blobs import BlobStore
from shared.storage.retry import Retry
from shared.styles.download import fetch_styles
from shared.styles.gallery import Gallery
from shared.telemetry.metrics import WorkMetrics

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.asyncio(loop_scope="session")


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest_asyncio.fixture(loop_scope="session")
async def blobs(storage_connection: str) -> AsyncIterator[BlobStore]:
    async with storage_client(storage_connection, None, None) as client:
        yield BlobStore(client)


@pytest_asyncio.fixture(loop_scope="session")
async def container(storage_connection: str, blobs: BlobStore, tmp_path: Path) -> str:
    """A container that holds the style ``my-own`` and things that are none."""
    name = f"styles{uuid.uuid4().hex[:8]}"
    async with storage_client(storage_connection, None, None) as client:
        for needed in (name, *CONTAINERS):
            with contextlib.suppress(ResourceExistsError):
                await client.create_container(needed)
    folder = tmp_path / "local"
    folder.mkdir()
    hang(folder, "my-own", network(0.5))
    for file in names_in(folder):
        await blobs.create(name, file, folder / file)
    await blobs.create(name, "README.md", b"about these styles")
    await blobs.create(name, "old/my-own.json", b"{")
    return name


@pytest.fixture
def retry() -> Retry:
    return Retry(WorkMetrics(CollectorRegistry(), "test"))


def environment(storage: str, eventhub: str, **more: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "STORAGE_CONNECTION_STRING": storage,
        "EVENTHUB_CONNECTION_STRING": eventhub,
        "METRICS_HOST": "127.0.0.1",
        **more,
    }


async def test_the_styles_of_a_container_are_a_gallery(
    storage_connection: str,
    blobs: BlobStore,
    container: str,
    retry: Retry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("STYLES_DIR", "STYLES_CONTAINER"):
        monkeypatch.setenv(name, "")  # as it was, after the test
    given = ServiceSettings(
        storage_connection_string=storage_connection,
        eventhub_connection_string="Endpoint=sb://nowhere",
        styles_container=container,
    )
    settings = await fetch_styles(given, blobs, retry)
    assert settings.styles_dir
    folder = Path(settings.styles_dir)
    assert names_in(folder) == {"my-own.json", "my-own.onnx"}
    assert Gallery(folder).find("my-own").network() == network(0.5)
    assert os.environ["STYLES_DIR"] == str(folder), "a child of the service has to find them, too"
    assert await fetch_styles(settings, blobs, retry) is settings


async def test_a_folder_and_a_container_exclude_each_other(
    storage_connection: str, blobs: BlobStore, retry: Retry
) -> None:
    both = ServiceSettings(
        storage_connection_string=storage_connection,
        eventhub_connection_string="Endpoint=sb://nowhere",
        styles_container="styles",
        styles_dir="/styles",
    )
    with pytest.raises(ConfigurationError, match="STYLES_DIR and STYLES_CONTAINER"):
        await fetch_styles(both, blobs, retry)


@pytest.mark.parametrize("service", ["splitter", "stylizer"])
async def test_a_service_has_its_default_style_from_a_container_and_leaves_nothing_behind(
    storage_connection: str,
    eventhub_connection: str,
    container: str,
    tmp_path: Path,
    service: str,
) -> None:
    port, temporary = unused_port(), tmp_path / "temporary"
    temporary.mkdir()
    process = Supervised(
        Command(
            name=service,
            argv=(sys.executable, "-m", service),
            environment=environment(
                storage_connection,
                eventhub_connection,
                STYLES_CONTAINER=container,
                DEFAULT_STYLE="my-own",
                METRICS_PORT=str(port),
                TMPDIR=str(temporary),
            ),
            log=tmp_path / "log",
            ready=HttpReady(f"http://127.0.0.1:{port}/readyz"),
        )
    )
    await process.start()
    assert list(temporary.glob("stylestream-work-*/styles/my-own.onnx"))
    await process.stop()
    assert not list(temporary.glob("stylestream-work-*"))


@pytest.mark.parametrize(
    ("service", "settings", "sentence"),
    [
        ("splitter", {"DEFAULT_STYLE": "nope"}, "DEFAULT_STYLE: there is no style 'nope'"),
        ("stylizer", {"DEFAULT_STYLE": "a:b"}, "DEFAULT_STYLE: the weight of 'a' must be a number"),
        ("splitter", {}, "style 'my-own': my-own.onnx does not match the digest in its card"),
        ("stylizer", {}, "style 'my-own': my-own.onnx does not match the digest in its card"),
    ],
)
async def test_a_service_does_not_start_with_styles_that_it_cannot_use(
    storage_connection: str,
    eventhub_connection: str,
    blobs: BlobStore,
    container: str,
    service: str,
    settings: dict[str, str],
    sentence: str,
) -> None:
    if not settings:
        await blobs.replace(container, "my-own.onnx", b"tampered")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", service),
        env=environment(
            storage_connection,
            eventhub_connection,
            METRICS_PORT="0",
            STYLES_CONTAINER=container,
            **settings,
        ),
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        _, err = await process.communicate()
    assert process.returncode == 2
    assert sentence in err.decode()
    assert "Traceback" not in err.decode()


async def test_a_stylizer_names_every_style_that_lacks_the_precision_asked_for(
    storage_connection: str, eventhub_connection: str, container: str
) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "stylizer"),
        env=environment(
            storage_connection,
            eventhub_connection,
            METRICS_PORT="0",
            STYLES_CONTAINER=container,
            PRECISION="fp16",
        ),
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        _, err = await process.communicate()
    assert process.returncode == 2
    assert "PRECISION=fp16: style 'my-own' has no fp16 network (my-own.fp16.onnx" in err.decode()
