"""``stylestream rm`` with several jobs, of which some cannot be deleted."""

from __future__ import annotations

import uuid

import pytest

from cli.command_line import build_parser
from cli.commands import jobs
from client import Status, StyleRequest
from shared.contracts.errors import ConfigurationError
from shared.contracts.layout import status_blob
from shared.storage.accounts import storage_client
from shared.storage.blobs import BlobStore

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_job_that_cannot_be_deleted_is_named_and_keeps_no_other(
    storage_connection: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    missing, open_, first, last = (uuid.uuid4().hex[:24] for _ in range(4))
    names = {
        f"{name.upper()}_CONTAINER": f"{name}-{uuid.uuid4().hex[:8]}"
        for name in ("jobs", "uploads", "results")
    }
    monkeypatch.setenv("STORAGE_CONNECTION_STRING", storage_connection)
    for variable, name in names.items():
        monkeypatch.setenv(variable, name)
    container = names["JOBS_CONTAINER"]
    async with storage_client(storage_connection, None, None) as client:
        for name in names.values():
            await client.create_container(name)
        blobs = BlobStore(client)
        for job, state in ((open_, "stylizing"), (first, "failed"), (last, "failed")):
            await blobs.create(container, status_blob(job), _record(job, state).to_json())

        with pytest.raises(ConfigurationError) as refused:
            await jobs.rm(build_parser().parse_args(["rm", first, "no-id", "another"]))
        assert len(refused.value.problems) == 2

        code = await jobs.rm(build_parser().parse_args(["rm", first, missing, open_, last]))
        left = {item.name async for item in blobs.items(container)}

    said = capsys.readouterr()
    assert said.out.splitlines() == [f"{first}: deleted", f"{last}: deleted"]
    assert [missing in said.err, open_ in said.err] == [True, True]
    assert len(said.err.splitlines()) == 2
    assert left == {status_blob(open_)}
    assert code == 1


def _record(job: str, state: str) -> Status:
    return Status(
        job_id=job,
        state=state,
        video_name="clip.mp4",
        video_url="https://example.org/clip.mp4",
        style=StyleRequest(style="udnie"),
        started_at="2026-01-01T00:00:00.000+00:00",
        updated_at="2026-01-01T00:01:00.000+00:00",
    )
