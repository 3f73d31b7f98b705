"""Ended jobs become CloudEvents on a topic, through the SDK's own publisher over real HTTP."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from azure.core.messaging import CloudEvent
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from structlog.testing import capture_logs

from assembler.announcements import Announcements, open_announcements
from assembler.metrics import AssemblerMetrics
from assembler.settings import AssemblerSettings
from local.azurite import connection_string
from local.eventgrid import LocalTopic, written_to
from shared.contracts.errors import TransientError
from shared.contracts.status import Failure, State, Status
from shared.contracts.style_request import StyleRequest
from shared.service.clients import AzureClients

ROOT = Path(__file__).resolve().parents[2]
KEY = "the-key-of-this-topic"
JOB = "0123456789abcdef01234567"


def ended(state: State, **changes: Any) -> Status:
    return Status(
        job_id=JOB,
        state=state,
        video_name="été/日本.mp4",
        video_url="http://127.0.0.1:1/devstoreaccount1/uploads/x.mp4",
        style=StyleRequest.model_validate({"style": "starry-night"}),
        started_at="2026-11-22T10:00:00.000+00:00",
        updated_at="2026-11-22T10:00:07.250+00:00",
        **changes,
    )


@asynccontextmanager
async def announcing(
    endpoint: str | None, key: str = KEY, registry: CollectorRegistry | None = None
) -> AsyncIterator[Announcements]:
    settings = AssemblerSettings(
        storage_connection_string=SecretStr(connection_string(1)),
        eventhub_connection_string=SecretStr("Endpoint=sb://x"),
        eventgrid_topic_endpoint=endpoint,
        eventgrid_topic_key=SecretStr(key),
    )
    async with AzureClients(settings) as clients:
        metrics = AssemblerMetrics(registry or CollectorRegistry())
        yield await open_announcements(settings, clients, metrics)


def counted(registry: CollectorRegistry) -> dict[tuple[str, str], float]:
    """Return how many tries about jobs in which state came to which outcome, of those that did."""
    return {
        (sample.labels["state"], sample.labels["outcome"]): sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.name == "assembler_announcements_total" and sample.value
    }


def keep(events: list[dict[str, Any]]) -> Callable[[dict[str, Any]], None]:
    return events.append


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ("done", "Stylestream.VideoStylized"),
        ("degraded", "Stylestream.VideoDegraded"),
        ("failed", "Stylestream.VideoFailed"),
        ("cancelled", "Stylestream.VideoCancelled"),
    ],
)
async def test_each_end_of_a_job_is_announced_with_its_whole_record(
    state: State, kind: str
) -> None:
    arrived: list[dict[str, Any]] = []
    status = ended(state, error=Failure(code="NOT_A_VIDEO", message="why"), warnings=("flaw",))
    async with (
        LocalTopic(0, KEY, keep(arrived)) as topic,
        announcing(topic.endpoint) as announcements,
    ):
        await announcements.announce(status)

    [event] = map(CloudEvent.from_dict, arrived)
    assert event.type == kind
    assert event.source == "http://127.0.0.1:1/devstoreaccount1/results"
    assert event.subject == JOB
    assert event.time
    assert event.time.isoformat() == "2026-11-22T10:00:07.250000+00:00"
    assert Status.model_validate(event.data) == status


async def test_a_repeated_announcement_can_be_recognised_by_its_id() -> None:
    arrived: list[dict[str, Any]] = []
    async with LocalTopic(0, KEY, keep(arrived)) as topic:
        for _restart in range(2):
            async with announcing(topic.endpoint) as announcements:
                await announcements.announce(ended("done"))
        async with announcing(topic.endpoint) as announcements:
            await announcements.announce(ended("failed"))

    first, again, other = (event["id"] for event in arrived)
    assert first == again != other


async def test_nothing_is_announced_for_an_open_job_or_without_a_topic() -> None:
    arrived: list[dict[str, Any]] = []
    async with (
        LocalTopic(0, KEY, keep(arrived)) as topic,
        announcing(topic.endpoint) as announcements,
        announcing(None) as silent,
    ):
        await announcements.announce(ended("assembling"))
        await silent.announce(ended("done"))
    assert arrived == []


async def test_an_unavailable_topic_is_tried_again() -> None:
    async with LocalTopic(0, KEY, keep([])) as topic:
        endpoint = topic.endpoint
    async with announcing(endpoint) as announcements:
        with pytest.raises(TransientError, match="topic"):
            await announcements.announce(ended("done"))


async def test_a_topic_with_server_errors_is_tried_again_and_then_gets_the_event() -> None:
    arrived: list[dict[str, Any]] = []
    troubles = 3  # one try, and two more that the SDK makes by itself

    def receive(event: dict[str, Any]) -> None:
        nonlocal troubles
        if troubles:
            troubles -= 1
            raise OSError("the disk is full")
        arrived.append(event)

    registry = CollectorRegistry()
    async with (
        LocalTopic(0, KEY, receive) as topic,
        announcing(topic.endpoint, registry=registry) as announcements,
    ):
        with pytest.raises(TransientError):
            await announcements.announce(ended("done"))
        await announcements.announce(ended("done"))
        await announcements.announce(ended("assembling"))
    assert len(arrived) == 1
    assert counted(registry) == {("done", "put_off"): 1, ("done", "delivered"): 1}


async def test_a_topic_that_refuses_holds_up_no_job_and_shows_in_log_and_metrics() -> None:
    arrived: list[dict[str, Any]] = []
    registry, key = CollectorRegistry(), "another-key-entirely"
    with capture_logs() as lines:
        async with (
            LocalTopic(0, KEY, keep(arrived)) as topic,
            announcing(topic.endpoint, key, registry) as announcements,
        ):
            await announcements.announce(ended("failed"))
    assert arrived == []
    assert counted(registry) == {("failed", "refused"): 1}
    assert [(line["event"], line["job_id"]) for line in lines] == [("announcement refused", JOB)]
    assert "another-key-entirely" not in str(lines)


async def test_the_local_topic_takes_cloud_events_only_from_holders_of_the_key(
    tmp_path,
) -> None:
    file = tmp_path / "announcements.jsonl"
    batch, plain = "application/cloudevents-batch+json", "application/json"
    event = b'[{"specversion":"1.0","id":"1","source":"s","type":"t"}]'
    tries = [
        (event, {"Content-Type": batch}, 401),
        (event, {"Content-Type": batch, "aeg-sas-key": KEY[:-1]}, 401),
        (event, {"Content-Type": plain, "aeg-sas-key": KEY}, 415),
        (b"[1", {"Content-Type": batch, "aeg-sas-key": KEY}, 400),
        (b'[{"id":"1"}]', {"Content-Type": batch, "aeg-sas-key": KEY}, 400),
        (b" " * (2 << 20), {"Content-Type": batch, "aeg-sas-key": KEY}, 413),
        (event, {"Content-Type": batch, "aeg-sas-key": KEY}, 200),
    ]
    async with (
        LocalTopic(0, KEY, written_to(file)) as topic,
        aiohttp.ClientSession() as session,
    ):
        for body, headers, status in tries:
            async with session.post(topic.endpoint, data=body, headers=headers) as answer:
                assert answer.status == status, (body[:20], headers)
    assert len(file.read_text().splitlines()) == 1


def test_an_announcement_for_which_the_disk_has_no_room_spoils_no_other(tmp_path: Path) -> None:
    # In a process of its own, whose files may not grow for a moment
    script = """
        import pathlib, resource, sys
        from local.eventgrid import written_to
        path = pathlib.Path(sys.argv[1])
        write = written_to(path)
        write({"id": "1"})
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 5, hard))
        try:
            write({"id": "2"})
        except OSError:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            write({"id": "2"})
    """
    file = tmp_path / "announcements.jsonl"
    command = [sys.executable, "-c", textwrap.dedent(script), str(file)]
    subprocess.run(command, check=True, cwd=ROOT)
    lines = file.read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"id": "1"}, {"id": "2"}]
