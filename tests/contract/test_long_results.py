"""While a result takes long, its job's record says that it is being made."""

from __future__ import annotations

from pathlib import Path

import pytest
from assembler_bench import running
from films import CHUNKS, Film, bring

from shared.storage.accounts import storage_client

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_the_record_of_a_job_whose_result_waits_for_storage_says_assembling(
    storage_connection: str, eventhub_connection: str, tmp_path: Path
) -> None:
    film = Film(tmp_path)
    async with (
        running(storage_connection, eventhub_connection) as bench,
        storage_client(storage_connection, None, None) as account,
    ):
        results = account.get_container_client(bench.settings.results_container)
        await results.delete_container()
        await bring(bench, film)
        told = await bench.record(film.job_id, lambda status: status.state == "assembling")
        assert told.frames == told.frames_stylized == 4 * CHUNKS
        await results.create_container()
        assert (await bench.ended(film.job_id)).state == "done"
