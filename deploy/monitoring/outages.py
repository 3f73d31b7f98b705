"""Records what Prometheus sees of real outages, as input series for promtool's tests.

``python -m deploy.monitoring.outages FOLDER`` runs real services on a real broker and storage. All
outages run at once, each with its own hubs, containers and exporter, once with a single upload and
once with one a minute. After a quarter of an hour, ``rules/tests/recorded`` has a file for each.
`deploy.monitoring.trials` says which alerts have to fire, and when.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from importlib.resources import files
from itertools import groupby
from pathlib import Path
from typing import Final, Literal, Self

from azure.storage.blob.aio import BlobServiceClient

from deploy.monitoring.prometheus import Prometheus, Series, require, running, unused_port
from local import azurite
from local.processes import Command, Supervised
from local.readiness import HttpReady, LineReady, TcpReady
from local.watcher import UploadWatcher

ROOT: Final = Path(__file__).resolve().parents[2]
RECORDED: Final = Path(__file__).parent / "rules/tests/recorded"

Service = Literal["splitter", "stylizer", "assembler"]

STEP_S: Final = 15
LENGTH_S: Final = 13 * 60
FIRST_UPLOAD_S: Final = 60
STEADY_S: Final = 60
# KEDA scales an idle pool to zero after its cooldown; here it is shorter.
COOLDOWN_S: Final = 90

_CONTAINERS: Final = (
    *("uploads", "results", "frames", "segments", "jobs", "dead-letters"),
    *("uploads-checkpoints", "frames-checkpoints", "segments-checkpoints"),
)
_HUBS: Final = {"uploads": 1, "frames": 4, "segments": 1}
_METRICS: Final = (
    *("stylestream_backlog_events", "stylestream_backlog_expired_events"),
    *("stylestream_hub_enqueued_events", "stylestream_hub_finished_events"),
    *("stylestream_hub_owned_partitions", "stylestream_uploads_unannounced_seconds"),
    *("stylestream_hub_partitions", "splitter_over_budget_videos"),
    *("splitter_in_hand", "stylizer_in_hand"),
)


@dataclass(frozen=True, slots=True)
class Outage:
    """Which services run, from when to when in seconds, and whether uploads are announced."""

    name: str
    alive: Mapping[Service, tuple[float, float]]
    announced: bool = True
    steady: bool = False


_ALWAYS: Final = (0.0, float(LENGTH_S))
_WAKES: Final = FIRST_UPLOAD_S + 45.0
# Started by the upload, and stopped when its work is done.
_BRIEFLY: Final = (_WAKES, _WAKES + COOLDOWN_S)

_Alive = Mapping[Service, tuple[float, float]]


def _twice(
    name: str, alive: _Alive, *, steady: _Alive | None = None, announced: bool = True
) -> tuple[Outage, ...]:
    """Return an outage with one upload, and with one a minute."""
    return (
        Outage(f"{name}-short", alive, announced),
        Outage(f"{name}-steady", alive if steady is None else steady, announced, steady=True),
    )


OUTAGES: Final = (
    *_twice("nobody-splits", {}),
    *_twice("nobody-paints", {"splitter": _BRIEFLY}, steady={"splitter": _ALWAYS}),
    *_twice("nobody-assembles", {"splitter": _ALWAYS, "stylizer": _ALWAYS}),
    *_twice("unannounced", {}, announced=False),
    # A normal cold start: a GPU node takes seven minutes to start.
    Outage(
        "cold-start",
        {
            "splitter": (_WAKES, LENGTH_S),
            "stylizer": (_WAKES + 420.0, LENGTH_S),
            "assembler": (_WAKES + 30.0, LENGTH_S),
        },
    ),
)


class Stage:
    """The broker, storage, and the processes of every outage."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._closing = AsyncExitStack()
        self._storage = ""
        self._eventhub = ""
        self.targets: dict[str, list[str]] = {}

    async def __aenter__(self) -> Self:
        ready, port = LineReady("ready "), unused_port()
        hubs = [f"{hub}-{one.name}:{count}" for one in OUTAGES for hub, count in _HUBS.items()]
        broker = self._process(
            "eventhubs",
            _module("local.eventhubs", "--port", "0", "--data", str(self._folder / "hubs"))
            + tuple(word for hub in hubs for word in ("--hub", hub)),
            {},
            ready,
        )
        storage = self._process(
            "azurite", azurite.command_line(port, self._folder / "blobs"), {}, TcpReady(port)
        )
        for process in (broker, storage):
            self._closing.push_async_callback(process.stop)
            await process.start()
        self._eventhub = ready.find(broker.output) or ""
        self._storage = azurite.connection_string(port)
        await self._make_containers()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self._closing.aclose()

    async def play(self, outage: Outage) -> None:
        """Run an outage from start to end."""
        async with AsyncExitStack() as playing, asyncio.TaskGroup() as group:
            exporter = self._service(outage, "exporter")
            await exporter.start()
            playing.push_async_callback(exporter.stop)
            if outage.announced:
                watcher = UploadWatcher(
                    self._storage,
                    self._eventhub,
                    uploads_container=f"uploads-{outage.name}",
                    hub=f"uploads-{outage.name}",
                )
                watching = group.create_task(watcher.run())
            for service, (from_s, to_s) in outage.alive.items():
                group.create_task(self._live(outage, service, from_s, to_s))
            await self._upload(outage)
            if outage.announced:
                watching.cancel()

    async def _live(self, outage: Outage, service: Service, from_s: float, to_s: float) -> None:
        process = self._service(outage, service)
        await asyncio.sleep(from_s)
        await process.start()
        await asyncio.sleep(to_s - from_s)
        await process.stop()

    async def _upload(self, outage: Outage) -> None:
        video = files("local").joinpath("sample.mp4").read_bytes()
        started_s = time.monotonic()
        uploads = range(FIRST_UPLOAD_S, LENGTH_S, STEADY_S) if outage.steady else [FIRST_UPLOAD_S]
        async with BlobServiceClient.from_connection_string(self._storage) as blobs:
            container = blobs.get_container_client(f"uploads-{outage.name}")
            for second in uploads:
                await asyncio.sleep(started_s + second - time.monotonic())
                await container.upload_blob(f"{second}.mp4", video)
        await asyncio.sleep(started_s + LENGTH_S - time.monotonic())

    async def _make_containers(self) -> None:
        async with BlobServiceClient.from_connection_string(self._storage) as blobs:
            for outage in OUTAGES:
                for container in _CONTAINERS:
                    await blobs.create_container(f"{container}-{outage.name}")

    def _service(self, outage: Outage, service: str) -> Supervised:
        port = unused_port()
        self.targets.setdefault(f"{outage.name}/{service}", []).append(f"127.0.0.1:{port}")
        environment = {
            "EVENTHUB_CONNECTION_STRING": self._eventhub,
            "STORAGE_CONNECTION_STRING": self._storage,
            "CONSUMER_GROUP": "stylestream",
            "METRICS_HOST": "127.0.0.1",
            "METRICS_PORT": str(port),
            "LANES": "1",
            **{f"{hub.upper()}_HUB": f"{hub}-{outage.name}" for hub in _HUBS},
            **{
                f"{container.upper().replace('-', '_')}_CONTAINER": f"{container}-{outage.name}"
                for container in _CONTAINERS
            },
        }
        ready = HttpReady(f"http://127.0.0.1:{port}/readyz")
        return self._process(f"{outage.name}-{service}", _module(service), environment, ready)

    def _process(
        self,
        name: str,
        argv: tuple[str, ...],
        environment: dict[str, str],
        ready: HttpReady | LineReady | TcpReady,
    ) -> Supervised:
        inherited = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
        log = self._folder / "logs" / f"{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        return Supervised(Command(name, argv, inherited | environment, log, ready, grace_s=20.0))


def main(folder: Path) -> None:
    """Record every outage."""
    require()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    asyncio.run(_record(folder))


async def _record(folder: Path) -> None:
    discovered = folder / "targets.json"
    discovered.write_text("[]", encoding="utf-8")
    with running(folder / "prometheus", _config(discovered)) as prometheus:
        async with Stage(folder) as stage:
            start_s = time.time()
            playing = asyncio.gather(*map(stage.play, OUTAGES))
            while not playing.done():
                _write_targets(discovered, stage.targets)
                await asyncio.wait({playing}, timeout=STEP_S)
            await playing
        RECORDED.mkdir(exist_ok=True)
        for outage in OUTAGES:
            series = list(_recorded(prometheus, outage, start_s))
            file = RECORDED / f"{outage.name}.json"
            file.write_text(json.dumps(series, indent=1) + "\n", encoding="utf-8")


def _write_targets(file: Path, targets: dict[str, list[str]]) -> None:
    groups = [
        {"targets": addresses, "labels": {"outage": outage, "job": service}}
        for (outage, service), addresses in (
            (tuple(name.split("/")), found) for name, found in targets.items()
        )
    ]
    scratch = file.with_suffix(".new")
    scratch.write_text(json.dumps(groups), encoding="utf-8")
    scratch.replace(file)


def _config(discovered: Path) -> str:
    return json.dumps(
        {
            "global": {"scrape_interval": f"{STEP_S}s"},
            "scrape_configs": [
                {
                    "job_name": "stack",
                    "file_sd_configs": [{"files": [str(discovered)], "refresh_interval": "5s"}],
                }
            ],
        }
    )


def _recorded(prometheus: Prometheus, outage: Outage, start_s: float) -> Iterator[dict[str, str]]:
    """Yield what Prometheus saw of an outage, in promtool's format."""
    for metric in _METRICS:
        # Without staleness lookback: a target that is gone has no value.
        expr = f'last_over_time({metric}{{outage="{outage.name}"}}[{STEP_S}s])'
        for one in prometheus.query(expr, start_s, start_s + LENGTH_S, STEP_S):
            labels = {
                name: value.removesuffix(f"-{outage.name}")
                for name, value in one["metric"].items()
                if name in {"service", "hub", "job"}
            }
            inside = ", ".join(f'{name}="{value}"' for name, value in sorted(labels.items()))
            yield {"series": f"{metric}{{{inside}}}", "values": _notation(one, start_s)}


def _notation(one: Series, start_s: float) -> str:
    """Return a series' values in promtool's notation, which abbreviates repeated values."""
    found = {round((at - start_s) / STEP_S): float(value) for at, value in one["values"]}
    values = [found.get(step) for step in range(LENGTH_S // STEP_S + 1)]
    return " ".join(_runs(values))


def _runs(values: Iterable[float | None]) -> Iterator[str]:
    for value, run in groupby(values):
        text, times = "_" if value is None else f"{value:g}", len(list(run))
        yield text if times == 1 else f"{text}x{times}" if value is None else f"{text}x{times - 1}"


def _module(module: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-P", "-m", module, *arguments)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
