"""A record that names another job's result neither hands it out nor deletes it."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from client import Account, open_pipeline
from client.account import Containers
from shared.contracts.errors import StylestreamError
from shared.contracts.layout import status_blob
from shared.contracts.status import Status, utc_now
from shared.contracts.style_request import StyleRequest
from shared.storage.accounts import storage_client
from shared.storage.blobs import BlobStore


async def test_a_forged_record_leads_to_no_result_of_others(
    storage_connection: str, tmp_path: Path
) -> None:
    name = uuid.uuid4().hex[:8]
    inside = Containers(f"u{name}", f"r{name}", f"j{name}")
    mine, theirs = (uuid.uuid4().hex[:24] for _ in range(2))
    forged = Status(
        job_id=mine,
        state="done",
        video_name="v.mp4",
        video_url="u",
        style=StyleRequest(style="udnie"),
        started_at=utc_now(),
        updated_at=utc_now(),
        result="theirs.mp4",
    )
    async with (
        storage_client(storage_connection, None, None) as client,
        open_pipeline(Account(storage_connection, containers=inside)) as user,
    ):
        for container in (inside.uploads, inside.results, inside.jobs):
            await client.create_container(container)
        blobs = BlobStore(client)
        await blobs.create(inside.results, "theirs.mp4", b"film", metadata={"job_id": theirs})
        await blobs.create(inside.jobs, status_blob(mine), forged.to_json())

        with pytest.raises(StylestreamError, match="another job"):
            await user.fetch(mine, tmp_path)
        with pytest.raises(StylestreamError, match="another job"):
            await user.download_link(mine, 1)
        await user.delete(mine)

        assert await blobs.read(inside.results, "theirs.mp4") == b"film"
        assert await blobs.read(inside.jobs, status_blob(mine)) is None
