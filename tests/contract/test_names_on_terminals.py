"""Other people's names in the command line's output stay on one line and move no cursor."""

from __future__ import annotations

import json
import uuid
from argparse import Namespace

import pytest
from azure.storage.blob.aio import BlobServiceClient

from cli.commands import jobs, operate
from client import Status, StyleRequest
from shared.contracts.layout import status_blob
from shared.contracts.status import Failure, write_summary
from shared.hubs.dead_letters import DeadLetter

pytestmark = pytest.mark.asyncio(loop_scope="session")

NAME = "new\nline  0123456789abcdef01234567  \x1b[2Jother\x9b1m\u202e.mp4"
JOB = "0123456789abcdef01234567"


@pytest.fixture
async def deployment(
    storage_connection: str, eventhub_connection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job of a name that was made to mislead, and a dead letter that quotes it."""
    mark = uuid.uuid4().hex[:8]
    record = Status(
        job_id=JOB,
        state="failed",
        video_name=NAME,
        video_url="https://example.org/x.mp4",
        style=StyleRequest(style="udnie"),
        started_at="2026-01-01T00:00:00.000+00:00",
        updated_at="2026-01-01T00:01:00.000+00:00",
        error=Failure(code="X", message=f"{NAME} cannot be read."),
    )
    letter = DeadLetter(
        hub="uploads",
        partition_id="0",
        sequence_number=1,
        code="X",
        cause=f"not an event: {NAME}",
        attempts=1,
        trace="",
        buried_at="2026-01-01T00:00:00.000+00:00",
        body_base64="",
    )
    async with BlobServiceClient.from_connection_string(storage_connection) as account:
        kept = await account.create_container(f"jobs-{mark}")
        await kept.upload_blob(status_blob(JOB), record.to_json(), metadata=write_summary(record))
        letters = await account.create_container(f"letters-{mark}")
        await letters.upload_blob("uploads/0/1.json", letter.to_json())
    monkeypatch.setenv("STORAGE_CONNECTION_STRING", storage_connection)
    monkeypatch.setenv("EVENTHUB_CONNECTION_STRING", eventhub_connection)
    monkeypatch.setenv("JOBS_CONTAINER", f"jobs-{mark}")
    monkeypatch.setenv("DEAD_LETTERS_CONTAINER", f"letters-{mark}")


def arguments(**given: object) -> Namespace:
    unset = dict.fromkeys(("dir", "state", "limit"))
    usual = {**unset, "watch": False, "json": False, "redrive": []}
    return Namespace(**usual | given)


@pytest.mark.usefixtures("deployment")
async def test_a_name_that_was_made_to_mislead_stays_on_its_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for command, given, expected in (
        (jobs.status, {"job": None}, 2),
        (jobs.status, {"job": JOB}, 1),
        (jobs.status, {"job": JOB, "json": True}, 1),
        (operate.dead_letters, {}, 1),
        (operate.dead_letters, {"json": True}, 1),
    ):
        assert await command(arguments(**given)) == 0
        lines = capsys.readouterr().out.removesuffix("\n").split("\n")
        assert len(lines) == expected
        assert all(line.isprintable() for line in lines), lines
        if "json" in given:
            assert any(NAME in str(value) for value in json.loads(lines[0]).values())
