"""The command that lists dead letters, on a container that also holds something else."""

from __future__ import annotations

import json
import uuid

import pytest

from cli.command_line import build_parser
from cli.commands.operate import dead_letters
from shared.hubs.dead_letters import DeadLetter
from shared.storage.accounts import storage_client
from shared.storage.blobs import BlobStore

pytestmark = pytest.mark.asyncio(loop_scope="session")

LETTER = DeadLetter(
    hub="frames",
    partition_id="0",
    sequence_number=1,
    code="CORRUPT_CHUNK",
    cause="the chunk is damaged",
    attempts=3,
    trace="",
    buried_at="2026-01-01T00:00:00.000+00:00",
    body_base64="e30=",
)


async def test_a_blob_that_holds_something_else_is_named_and_hides_no_other(
    storage_connection: str,
    eventhub_connection: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    container = f"t{uuid.uuid4().hex[:8]}"
    async with storage_client(storage_connection, None, None) as client:
        await client.create_container(container)
        blobs = BlobStore(client)
        await blobs.create(container, "frames/a.json", b"{}")
        await blobs.create(container, "frames/b.json", LETTER.model_dump_json().encode())
    monkeypatch.setenv("STORAGE_CONNECTION_STRING", storage_connection)
    monkeypatch.setenv("EVENTHUB_CONNECTION_STRING", eventhub_connection)
    monkeypatch.setenv("DEAD_LETTERS_CONTAINER", container)
    code = await dead_letters(build_parser().parse_args(["dead-letters", "--json"]))
    said = capsys.readouterr()
    assert json.loads(said.out)["name"] == "frames/b.json"
    assert "frames/a.json is not a dead letter" in said.err
    assert code == 1
