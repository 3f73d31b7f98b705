"""What users notice when something is wrong: a cause within seconds, and other jobs go on."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio
from e2e.conftest import Pipeline, running
from networks import card, endless
from videos import Video, presented, times

from client.dead_letters import Letters
from shared.contracts.errors import StylestreamError
from shared.service.clients import AzureClients
from shared.service.settings import ServiceSettings

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(240)]
DEADLINE_S = 60.0


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def pipeline(tmp_path_factory) -> AsyncIterator[Pipeline]:
    """A stack with one stylizer, a style whose network never ends, and short deadlines."""
    styles = tmp_path_factory.mktemp("styles")
    network = endless()
    (styles / "endless.onnx").write_bytes(network)
    (styles / "endless.json").write_text(card("Endless", network))
    async with running(
        tmp_path_factory.mktemp("reliability"),
        1,
        STYLES_DIR=str(styles),
        CHUNK_DEADLINE_S="4",
        CHUNK_ATTEMPTS="2",
        ON_CHUNK_FAILURE="passthrough",
        PROBE_INTERVAL_S="0.3",
    ) as pipeline:
        yield pipeline


async def leftovers(pipeline: Pipeline, job: str) -> list[str]:
    names = [
        name
        for container in ("frames", "segments", "jobs")
        async for name in pipeline.blobs.names(container, f"{job}/")
    ]
    return [name for name in names if not name.endswith("/status.json")]


async def until_tidy(pipeline: Pipeline, job: str) -> None:
    try:
        async with asyncio.timeout(DEADLINE_S):
            while (left := await leftovers(pipeline, job)) or (lag := await pipeline.lag()):
                await asyncio.sleep(0.2)
    except TimeoutError:
        pytest.fail(f"left in storage: {left}; lag: {lag}")


async def letters(pipeline: Pipeline) -> list:
    settings = ServiceSettings(
        storage_connection_string=pipeline.stack.storage_connection_string,
        eventhub_connection_string=pipeline.stack.eventhub_connection_string,
    )
    async with AzureClients(settings) as clients:
        found = Letters(settings, clients, pipeline.blobs)
        listed = [letter async for letter in found.all()]
        for letter in listed:
            with pytest.raises(StylestreamError, match="submit .* again instead"):
                await found.redrive(letter)
        return listed


@pytest.mark.slow
async def test_a_chunk_that_hangs_its_painter_passes_unpainted_and_holds_up_nobody(
    pipeline: Pipeline,
) -> None:
    poison = Video(frames=8, size=(96, 64)).make()
    other = Video(frames=24, size=(96, 64)).make()
    bad = await pipeline.submit("hang.mp4", poison, style="endless")
    good = await pipeline.submit("fine.mp4", other)

    assert (await pipeline.ended(good)).state == "done"
    status = await pipeline.ended(bad)
    assert status.state == "degraded"
    assert "original frames: 0" in status.warnings[-1]
    assert "CHUNK_POISONED" in status.warnings[-1]
    # The worker left because of its hanging lane, the attempts survived that, and ended in a child
    assert pipeline.process("stylizer-1").restarts == 1
    result = await pipeline.result(status)
    assert times(result) == times(poison)
    assert [number for _, number in presented(result)] == [
        number for _, number in presented(poison)
    ]
    (letter,) = [
        letter for letter in await letters(pipeline) if bad.encode() in letter.content.body
    ]
    assert (letter.content.code, letter.content.attempts) == ("CHUNK_POISONED", 2)
    assert "not painted within 4 s" in letter.content.cause
    await until_tidy(pipeline, bad)


async def test_while_a_dependency_is_unavailable_services_live_but_are_not_ready(
    pipeline: Pipeline,
) -> None:
    names = ("splitter", "stylizer-1", "assembler")
    azurite, broker = pipeline.process("azurite"), pipeline.process("eventhubs")
    async with aiohttp.ClientSession() as session:

        async def answers(path: str) -> list[tuple[int, str]]:
            found = []
            for name in names:
                async with session.get(f"{pipeline.stack.endpoints[name]}{path}") as response:
                    found.append((response.status, await response.text()))
            return found

        async def until_ready(ready: bool, word: str) -> None:
            async with asyncio.timeout(DEADLINE_S):
                while not all(
                    (code == 200) is ready and word in text
                    for code, text in await answers("/readyz")
                ):
                    assert all(code == 200 for code, _ in await answers("/healthz"))
                    await asyncio.sleep(0.1)

        await until_ready(ready=True, word="ready")
        for process, word in ((broker, "event hubs: "), (azurite, "storage: ")):
            os.kill(process.pid, signal.SIGSTOP)
            await until_ready(ready=False, word=word)
            os.kill(process.pid, signal.SIGCONT)
            await until_ready(ready=True, word="ready")
    video = Video(frames=24).make()
    status = await pipeline.ended(await pipeline.submit("afterwards.mp4", video))
    assert status.state == "done"
    assert times(await pipeline.result(status)) == times(video)
