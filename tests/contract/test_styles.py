"""Styles in a blob container: services fetch them at start, and refuse bad ones by name."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from azure.core.exceptions import ResourceExistsError
from ports import unused_port
from prometheus_client import CollectorRegistry
from styles import hang, network

from local.children import inherited, python
from local.loader import Loader
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


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def loader(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Loader]:
    """Starts services as a stack does: as forks of one process that has loaded their packages."""
    folder = tmp_path_factory.mktemp("loader")
    async with Loader(inherited(folder), folder / "loader.log") as loader:
        yield loader


Process = Callable[..., Supervised]
"""Makes a service with settings, besides those that all have here."""


@pytest.fixture
def process(
    loader: Loader, storage_connection: str, eventhub_connection: str, tmp_path: Path
) -> Process:
    def make(service: str, port: int = 0, **settings: str) -> Supervised:
        environment = {
            **loader.environment,
            "STORAGE_CONNECTION_STRING": storage_connection,
            "EVENTHUB_CONNECTION_STRING": eventhub_connection,
            "METRICS_HOST": "127.0.0.1",
            "METRICS_PORT": str(port),
            **settings,
        }
        ready = HttpReady(f"http://127.0.0.1:{port}/readyz")
        command = Command(service, python(service), environment, tmp_path / "log", ready)
        return Supervised(command, launch=loader.launch)

    return make


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
    process: Process, container: str, tmp_path: Path, service: str
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    running = process(
        service,
        unused_port(),
        STYLES_CONTAINER=container,
        DEFAULT_STYLE="my-own",
        TMPDIR=str(temporary),
    )
    await running.start()
    assert list(temporary.glob("stylestream-work-*/styles/my-own.onnx"))
    await running.stop()
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
    process: Process,
    blobs: BlobStore,
    container: str,
    service: str,
    settings: dict[str, str],
    sentence: str,
) -> None:
    if not settings:
        await blobs.replace(container, "my-own.onnx", b"tampered")
    await refuses(process(service, STYLES_CONTAINER=container, **settings), sentence)


async def test_a_stylizer_names_every_style_that_lacks_the_precision_asked_for(
    process: Process, container: str
) -> None:
    stylizer = process("stylizer", STYLES_CONTAINER=container, PRECISION="fp16")
    await refuses(stylizer, "PRECISION=fp16: style 'my-own' has no fp16 network (my-own.fp16.onnx")


async def refuses(service: Supervised, sentence: str) -> None:
    """A service ends before it is ready, with a sentence for its operator."""
    with pytest.raises(ConfigurationError) as refused:
        await service.start()
    assert sentence in str(refused.value)
    assert "Traceback" not in service.command.log.read_text()
