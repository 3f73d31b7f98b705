"""One video, one trace: its spans in all three services are connected across real hubs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from contract.conftest import Brokers
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind
from prometheus_client import CollectorRegistry
from serving import serving
from videos import Sound, Video

from assembler import service as assembler
from assembler.metrics import AssemblerMetrics
from assembler.settings import AssemblerSettings
from local.stack import CONTAINERS
from local.watcher import UploadWatcher
from shared.service.clients import AzureClients
from shared.service.health import Health
from shared.service.settings import ServiceSettings
from shared.telemetry import tracing
from splitter import service as splitter
from splitter.metrics import SplitterMetrics
from splitter.settings import SplitterSettings
from stylizer import service as stylizer
from stylizer.metrics import StylizerMetrics
from stylizer.settings import StylizerSettings

pytestmark = pytest.mark.asyncio(loop_scope="session")
DEADLINE_S = 60.0
CHUNKS = 3
GROUP = "traced"
HUBS = {"uploads", "frames", "segments"}


@pytest.fixture(scope="module")
def own_hubs(brokers: Brokers) -> Iterator[str]:
    with brokers() as connection:
        yield connection


@pytest.fixture(scope="module")
def where(storage_connection: str, own_hubs: str) -> dict[str, object]:
    """Settings that the services share: containers and positions of their own."""
    name = uuid.uuid4().hex[:8]
    return {
        "storage_connection_string": storage_connection,
        "eventhub_connection_string": own_hubs,
        "consumer_group": f"{GROUP}{name}",
        "load_balancing_interval_s": 0.5,
        "ownership_expiry_s": 5,
        **{
            f"{container.replace('-', '_')}_container": f"{container}{name}"
            for container in CONTAINERS
        },
    }


@contextlib.asynccontextmanager
async def pipeline(where: dict[str, object]) -> AsyncIterator[AzureClients]:
    """The three services in this loop, each with clients of its own."""
    async with contextlib.AsyncExitStack() as stack:
        for build, settings, metrics in (
            (splitter.build, SplitterSettings(chunk_frames=8, **where), SplitterMetrics),
            (stylizer.build, StylizerSettings(lanes=1, **where), StylizerMetrics),
            (assembler.build, AssemblerSettings(status_interval_s=0.1, **where), AssemblerMetrics),
        ):
            clients = await stack.enter_async_context(AzureClients(settings))
            service = await build(settings, clients, metrics(CollectorRegistry()), Health())
            await stack.enter_async_context(serving(service))
        yield clients


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def spans(where: dict[str, object]) -> list[ReadableSpan]:
    """All spans of one small video's way, from its upload to its result."""
    exporter, settings = InMemorySpanExporter(), ServiceSettings(**where)
    async with AzureClients(settings) as clients:
        blobs = await clients.blobs()
        for container in CONTAINERS:
            await blobs.create_container(str(where[f"{container.replace('-', '_')}_container"]))
        video = Video(frames=24, size=(64, 48), sounds=[Sound(duration_s=0.8)]).make()
        uploads = blobs.get_container_client(settings.uploads_container)
        await uploads.upload_blob("v.mp4", video)
        watcher = UploadWatcher(
            str(where["storage_connection_string"]),
            str(where["eventhub_connection_string"]),
            uploads_container=settings.uploads_container,
        )
        with tracing.exporting("pipeline", None, exporter):
            async with pipeline(where):
                watching = asyncio.create_task(watcher.run())
                await _result(blobs.get_container_client(settings.jobs_container))
                watching.cancel()
    return list(exporter.get_finished_spans())


async def _result(jobs) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while True:
            async for name in jobs.list_blob_names():
                if name.endswith("status.json"):
                    status = json.loads(await (await jobs.download_blob(name)).readall())
                    assert status["error"] is None
                    if status["state"] == "done":
                        return
            await asyncio.sleep(0.1)


def named(spans: list[ReadableSpan], name: str) -> list[ReadableSpan]:
    return [span for span in spans if span.name == name]


def trace_of(span: ReadableSpan) -> int:
    return span.context.trace_id


async def test_everything_from_upload_to_result_is_one_trace(spans: list[ReadableSpan]) -> None:
    (split,) = named(spans, "split")
    video = {span.name for span in spans if trace_of(span) == trace_of(split)}
    assert video >= {
        *("process uploads", "split", "ship", "send frames"),
        *("process frames", "download", "paint", "upload", "announce", "send segments"),
        *("process segments", "assemble", "mux", "verify", "publish"),
    }


async def test_every_chunk_has_its_spans_and_they_say_which_chunk(
    spans: list[ReadableSpan],
) -> None:
    for name in ("ship", "process frames", "paint", "upload"):
        assert len(named(spans, name)) == CHUNKS, name
    for name in ("ship", "process frames"):
        chunks = {span.attributes["stylestream.chunk"] for span in named(spans, name)}
        assert chunks == set(range(CHUNKS))


async def test_a_chunk_is_painted_under_the_event_that_was_sent_for_it(
    spans: list[ReadableSpan],
) -> None:
    by_id = {span.context.span_id: span for span in spans}
    for paint in named(spans, "paint"):
        way, span = [], paint
        while span.parent is not None:
            span = by_id[span.parent.span_id]
            way.append(span.name)
        assert way == [
            *("process frames", "send frames", "ship", "split", "process uploads"),
        ]


async def test_only_the_upload_begins_a_trace_and_nothing_is_an_orphan(
    spans: list[ReadableSpan],
) -> None:
    ids = {span.context.span_id for span in spans}
    assert {span.name for span in spans if span.parent is None} == {"process uploads"}
    assert all(span.parent is None or span.parent.span_id in ids for span in spans)


async def test_spans_of_hubs_follow_the_conventions_for_messaging(
    spans: list[ReadableSpan], where: dict[str, object]
) -> None:
    for kind, verb in ((SpanKind.PRODUCER, "send"), (SpanKind.CONSUMER, "process")):
        found = [span for span in spans if span.kind is kind]
        assert found
        for span in found:
            told = span.attributes
            assert told["messaging.system"] == "eventhubs"
            assert told["messaging.operation.name"] == verb
            assert told["messaging.destination.name"] in HUBS
            assert span.name == f"{verb} {told['messaging.destination.name']}"
            if kind is SpanKind.CONSUMER:
                assert told["messaging.consumer.group.name"] == where["consumer_group"]
                assert str(told["messaging.destination.partition.id"]).isdigit()
