"""A style that changes under an open job: one version paints the whole result.

Two stylizers, as they are before and after an update, have different networks for one style. Each
multiplies every pixel by one number, so that a frame tells which of them has painted it.
"""

from __future__ import annotations

import io
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import av
import pytest
from assembler_bench import Bench, assembling, prepared, running, started
from contract.test_encoders import Painted, Send, sending, split_job
from hub_reader import Reader
from manifests import store_whole
from prometheus_client import CollectorRegistry
from serving import serving
from styles import hang, network

from shared.contracts.layout import chunk_blob
from shared.contracts.messages import SegmentReady, SplitCompleted, decode
from shared.contracts.status import Status
from shared.contracts.style_request import StyleRequest
from shared.service.clients import AzureClients
from shared.service.health import Health
from shared.storage.seals import seal
from shared.styles.gallery import Gallery
from stylizer import service as stylizer
from stylizer.metrics import StylizerMetrics
from stylizer.settings import StylizerSettings

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(240)]

STYLE = StyleRequest(style="starry-night")
GAINS = {"old": 0.9, "new": 0.5}


@pytest.fixture
def releases(tmp_path: Path) -> dict[str, Path]:
    """Return folders of styles, by release."""
    for release, gain in GAINS.items():
        (tmp_path / release).mkdir()
        hang(tmp_path / release, STYLE.style, network(gain))
    return {release: tmp_path / release for release in GAINS}


@asynccontextmanager
async def stylizing(bench: Bench, styles: Path) -> AsyncIterator[None]:
    """Run a stylizer that has ``styles``; leaving ends it as SIGTERM does."""
    inside = bench.settings.model_dump(
        include=set(StylizerSettings.model_fields), exclude_unset=True
    )
    settings = StylizerSettings(
        **inside, styles_dir=str(styles), engine="cpu", precision="fp32", lanes=1
    )
    async with AzureClients(settings) as clients:
        metrics = StylizerMetrics(CollectorRegistry())
        service = await stylizer.build(settings, clients, metrics, Health())
        async with serving(service):
            yield


class Film:
    """A job of three chunks that nobody has painted yet."""

    def __init__(self, bench: Bench, send: Send) -> None:
        self.job = uuid.uuid4().hex[:24]
        self._bench, self.send = bench, send
        self.made: Painted = split_job(self.job)

    async def open(self) -> None:
        bench = self._bench
        for number, data in enumerate(self.made.files):
            name = chunk_blob(self.job, number)
            await bench.blobs.create(
                bench.settings.frames_container, name, data, metadata=seal(data)
            )
        await bench.hub.by_job(started(self.job).model_copy(update={"video_name": self.job}))

    async def paint(self, styles: Path, *chunks: int) -> None:
        """Have some chunks painted by a stylizer with ``styles``."""
        painted = (await self._status()).chunks_stylized + len(chunks)

        async def are_painted() -> bool:
            return (await self._status()).chunks_stylized == painted

        async with stylizing(self._bench, styles):
            await self.send([self.made.events[chunk] for chunk in chunks])
            await self._bench.until(are_painted)

    async def paint_in_two(self, releases: dict[str, Path]) -> None:
        """Have it painted whole, and most of it by the old release."""
        await self.paint(releases["old"], 0, 1)
        await self.paint(releases["new"], 2)
        await self.seal()

    async def seal(self) -> None:
        inside, manifest = self._bench.settings, self.made.manifest
        await store_whole(self._bench.blobs, inside.frames_container, manifest)
        await self._bench.hub.by_job(SplitCompleted(job_id=self.job, chunks=3, frames=24))

    async def store(self, chunk: int, styles: str) -> None:
        """Store a chunk as it is in the place of its segment, and announce that."""
        inside, data = self._bench.settings, self.made.files[chunk]
        metadata = {**seal(data), "styles": styles}
        name = chunk_blob(self.job, chunk)
        await self._bench.blobs.create(inside.segments_container, name, data, metadata=metadata)
        await self._bench.hub.by_job(SegmentReady(job_id=self.job, chunk=chunk, frames=8))

    async def versions(self) -> list[str]:
        """Return the versions of the style in which the chunks are stored, in order."""
        items = self._bench.blobs.items(self._bench.settings.segments_container, self.job)
        return [item.metadata["styles"] async for item in items]

    async def levels(self) -> list[float]:
        """Return how bright each frame of the result is."""
        status = await self._status()
        result = await self._bench.blobs.read("results", str(status.result))
        assert result
        with av.open(io.BytesIO(result)) as shown:
            return [f.to_ndarray(format="gray").mean() for f in shown.decode(video=0)]

    async def _status(self) -> Status:
        async def is_known() -> bool:
            return await self._bench.look(self.job) is not None

        await self._bench.until(is_known)
        status = await self._bench.look(self.job)
        assert status
        return status


@asynccontextmanager
async def filming(storage: str, eventhub: str, redrives: int) -> AsyncIterator[tuple[Bench, Film]]:
    quick = {"redrive_after_s": 0.2, "checkpoint_interval_s": 0.1, "redrives": redrives}
    async with (
        running(storage, eventhub, keep_intermediates=True, **quick) as bench,
        sending(bench) as send,
    ):
        film = Film(bench, send)
        await film.open()
        yield bench, film


async def test_a_style_that_is_updated_under_an_open_job_paints_all_of_it(
    storage_connection: str, eventhub_connection: str, releases: dict[str, Path]
) -> None:
    async with filming(storage_connection, eventhub_connection, 3) as (bench, film):
        await film.paint(releases["old"], 0, 1)
        before = await film.versions()
        # From here on the result is written ahead, with segments of both
        await film.seal()
        await film.paint(releases["new"], 2)
        async with stylizing(bench, releases["new"]):
            status = await bench.ended(film.job)
            # Painted by the new version alone, every frame is the same
            other = Film(bench, film.send)
            await other.open()
            await other.send(other.made.events)
            await other.seal()
            assert (await bench.ended(other.job)).state == "done"
        assert (status.state, status.warnings, status.error) == ("done", (), None)
        version = Gallery(releases["new"]).version(STYLE)
        assert await film.versions() == [version] * 3
        assert set(before) == {Gallery(releases["old"]).version(STYLE)}
        levels = await film.levels()
        assert len(levels) == 24
        assert levels == await other.levels()


@pytest.mark.slow
async def test_a_style_that_is_rolled_back_under_an_open_job_paints_all_of_it(
    storage_connection: str, eventhub_connection: str, releases: dict[str, Path]
) -> None:
    async with filming(storage_connection, eventhub_connection, 1) as (bench, film):
        await film.paint_in_two(releases)
        async with stylizing(bench, releases["old"]):
            status = await bench.ended(film.job)
        assert (status.state, status.warnings, status.error) == ("done", (), None)
        assert await film.versions() == [Gallery(releases["old"]).version(STYLE)] * 3


async def test_a_result_in_two_versions_of_a_style_is_degraded_and_says_so(
    storage_connection: str, eventhub_connection: str
) -> None:
    async with filming(storage_connection, eventhub_connection, 0) as (bench, film):
        # Stylizers of an earlier release did not say which version they had
        await film.seal()
        for chunk, styles in enumerate("abb"):
            await film.store(chunk, styles)
        status = await bench.ended(film.job)
    assert (status.state, status.error) == ("degraded", None)
    [sentence] = status.warnings
    assert sentence.startswith("the style was changed while the video was being painted")


@pytest.mark.slow
async def test_if_some_stylizers_keep_another_version_each_job_still_ends_in_one(
    storage_connection: str, eventhub_connection: str, releases: dict[str, Path]
) -> None:
    async with filming(storage_connection, eventhub_connection, 3) as (bench, film):
        await film.paint_in_two(releases)
        async with stylizing(bench, releases["old"]), stylizing(bench, releases["new"]):
            status = await bench.ended(film.job)
        assert (status.state, status.warnings, status.error) == ("done", (), None)
        assert len(set(await film.versions())) == 1


@pytest.mark.slow
async def test_an_assembler_that_takes_over_a_job_continues_its_predecessors_rounds(
    storage_connection: str, eventhub_connection: str, releases: dict[str, Path], reader: Reader
) -> None:
    new = Gallery(releases["new"]).version(STYLE)

    def answers(job: str) -> list[tuple[int, int]]:
        """List the resends that were answered, each with its chunk."""
        events = [decode(delivery.body) for delivery in reader.taken]
        return [
            (event.chunk, event.resend)
            for event in events
            if isinstance(event, SegmentReady) and (event.job_id, event.wanted) == (job, new)
        ]

    quick = {"redrive_after_s": 0.2, "checkpoint_interval_s": 0.1, "redrives": 2}
    async with (
        reader.reading(),
        prepared(
            storage_connection, eventhub_connection, keep_intermediates=True, **quick
        ) as bench,
        sending(bench) as send,
    ):
        film = Film(bench, send)

        def answered(resend: int) -> list[int]:
            return sorted(chunk for chunk, of in answers(film.job) if of == resend)

        async def are_answered(resend: int, chunks: int) -> bool:
            return len(answered(resend)) >= chunks

        async with assembling(bench.settings, CollectorRegistry()):
            await film.open()
            await film.paint_in_two(releases)
        async with stylizing(bench, releases["old"]):
            async with assembling(bench.settings, CollectorRegistry()):
                await bench.until(lambda: are_answered(1, 2))
            async with assembling(bench.settings, CollectorRegistry()):
                status = await bench.ended(film.job)
        assert (status.state, status.warnings, status.error) == ("done", (), None)
        # The version is given up with the first of the two that was sent twice in vain, of which
        # the reader may hear after the assembler. No round began anew.
        await bench.until(lambda: are_answered(2, 1))
        assert answered(1) == [0, 1]
        assert answered(2) in ([0], [1], [0, 1])
