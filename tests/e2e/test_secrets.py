"""Nothing that a stack shows contains a secret."""

from __future__ import annotations

import asyncio
import contextlib
import re
import stat
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import psutil
import pytest
import pytest_asyncio
from azure.core.exceptions import HttpResponseError
from azure.storage.blob.aio import BlobServiceClient
from ports import unused_port
from videos import Video

from client import Account, open_pipeline
from local.azurite import ACCOUNT_KEY
from local.eventhubs.access import DEFAULT_KEY
from local.stack import Stack, StackOptions
from shared.contracts.style_request import StyleRequest

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]
WEBHOOK_SECRET = "webhook-secret-webhook-secret"
DEADLINE_S = 90.0


@dataclass
class Seen:
    """What could be seen of a talkative stack that has painted a video and refused another."""

    storage: str
    """The connection string of its storage."""
    folder_mode: str
    secrets: dict[str, str]
    arguments: dict[str, str]
    metrics: dict[str, str]
    logs: dict[str, str]
    records: str


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def seen(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Seen]:
    folder, port = tmp_path_factory.mktemp("secrets"), unused_port()
    settings = {
        "LOG_LEVEL": "DEBUG",
        "WEBHOOK_HOST": "127.0.0.1",
        "WEBHOOK_PORT": str(port),
        "WEBHOOK_SECRET": WEBHOOK_SECRET,
    }
    async with (
        Stack(StackOptions(folder / "stack", environment=settings)) as stack,
        aiohttp.ClientSession() as http,
    ):
        await knock(http, f"http://127.0.0.1:{port}/events")
        records = await use(stack, folder)
        storage = stack.storage_connection_string
        yield Seen(
            storage,
            stat.filemode((folder / "stack").stat().st_mode),
            {
                "storage": key_of(storage),
                "event hubs": DEFAULT_KEY,
                "webhook": WEBHOOK_SECRET,
                "topic": environment_of(stack, "assembler")["EVENTGRID_TOPIC_KEY"],
            },
            arguments_of(stack),
            await metrics_of(stack, http),
            {log.stem: log.read_text() for log in stack.logs.iterdir()},
            records,
        )


def key_of(storage: str) -> str:
    found = re.search("AccountKey=([^;]+)", storage)
    assert found
    return found[1]


async def knock(http: aiohttp.ClientSession, address: str) -> None:
    """Call the webhook with the secret in the address, with a wrong one, and with nonsense."""
    for query, body, status in (
        (WEBHOOK_SECRET, b"[]", 200),
        (WEBHOOK_SECRET, b"nonsense", 400),
        (WEBHOOK_SECRET[:-1], b"[]", 401),
    ):
        async with http.post(f"{address}?code={query}", data=body) as answer:
            assert answer.status == status


async def use(stack: Stack, folder: Path) -> str:
    """Bring one job to a good end and one to a bad; return all that was recorded about them."""
    good, bad = folder / "good.mp4", folder / "bad.mp4"
    good.write_bytes(Video(frames=4).make())
    bad.write_bytes(b"no video " * 50)
    async with open_pipeline(Account(stack.storage_connection_string)) as jobs:
        for video in (good, bad):
            wish = StyleRequest.model_validate({"style": "starry-night"})
            submission = await jobs.submit(video, wish)
            async with asyncio.timeout(DEADLINE_S):
                async for view in jobs.watch(submission.job_id):
                    status = view.status
            assert status
            assert status.ended
    async with asyncio.timeout(DEADLINE_S):
        while not stack.announcements.exists() or stack.announcements.read_text().count("\n") < 2:
            await asyncio.sleep(0.05)
    return await blobs_of(stack, "jobs") + stack.announcements.read_text()


async def blobs_of(stack: Stack, container: str) -> str:
    async with BlobServiceClient.from_connection_string(stack.storage_connection_string) as client:
        found = client.get_container_client(container)
        names = [name async for name in found.list_blob_names()]
        return "".join(
            [(await (await found.download_blob(name)).readall()).decode() for name in names]
        )


def environment_of(stack: Stack, name: str) -> dict[str, str]:
    (process,) = [process for process in stack.processes if process.name == name]
    return dict(process.command.environment)


def arguments_of(stack: Stack) -> dict[str, str]:
    """Return the command lines of all processes of the stack and of their children."""
    found = {}
    for process in stack.processes:
        root = psutil.Process(process.pid)
        for one in (root, *root.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                found[f"{process.name}/{one.pid}"] = " ".join(one.cmdline())
    return found


async def metrics_of(stack: Stack, http: aiohttp.ClientSession) -> dict[str, str]:
    found = {}
    for name in ("splitter", "stylizer-1", "assembler"):
        async with http.get(f"{stack.endpoints[name]}/metrics") as answer:
            assert answer.status == 200
            found[name] = await answer.text()
    return found


async def test_the_key_that_all_emulators_have_does_not_open_the_storage(seen: Seen) -> None:
    """A web page can reach ports of this machine, and sign with a key that everybody knows."""
    known = seen.storage.replace(key_of(seen.storage), ACCOUNT_KEY)
    async with BlobServiceClient.from_connection_string(known, retry_total=0) as client:
        with pytest.raises(HttpResponseError, match="AuthorizationFailure"):
            await client.get_service_properties()


async def test_no_other_user_of_the_machine_can_read_what_is_stored(seen: Seen) -> None:
    assert seen.folder_mode == "drwx------"


async def test_no_secret_is_in_the_arguments_of_a_process(seen: Seen) -> None:
    assert len(seen.arguments) >= 5
    for process, arguments in seen.arguments.items():
        for name, secret in seen.secrets.items():
            assert secret not in arguments, f"{name} in {process}"


async def test_no_secret_is_in_a_log_however_much_is_logged(seen: Seen) -> None:
    assert {"splitter", "assembler", "stylizer-1", "azurite", "eventhubs"} <= seen.logs.keys()
    assert "webhook caller refused" in seen.logs["splitter"]
    for log, text in seen.logs.items():
        # The broker tells once how it is reached: its key is the emulator's, the same everywhere.
        told = re.sub(r"^ready .*$", "", text, flags=re.MULTILINE) if log == "eventhubs" else text
        for name, secret in seen.secrets.items():
            assert secret not in told, f"{name} in {log}.log"
        assert not re.search(r"SharedAccessSignature s|sig=|AccountKey=", told), f"{log}.log"


async def test_no_secret_is_in_the_metrics(seen: Seen) -> None:
    for service, text in seen.metrics.items():
        for name, secret in seen.secrets.items():
            assert secret not in text, f"{name} in the metrics of {service}"


async def test_no_secret_is_in_records_and_announcements(seen: Seen) -> None:
    assert "NOT_A_VIDEO" in seen.records
    for name, secret in seen.secrets.items():
        assert secret not in seen.records, name
    assert "sig=" not in seen.records
