"""A stack to be broken: its services reach hubs and storage through proxies that record all use."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import shutil
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlsplit

from azure.core.exceptions import AzureError
from azure.storage.blob.aio import BlobServiceClient

from chaos.clips import ClipPlan, look_at, make_clip, wanted
from chaos.disk import Disk
from chaos.history import Announcement, Clip, History, HubEvent, Position, Upload
from chaos.hub_relay import HubRelay
from chaos.hubs import HubReader, send_copies
from chaos.promises.timeline import Timeline
from chaos.recorder import Recorder
from chaos.relay import Relay
from chaos.release import Release
from chaos.settings import SETTINGS, STYLES
from chaos.signals import signal_group
from chaos.storage_proxy import StorageProxy
from chaos.storage_view import StorageView
from chaos.strain import note_strain
from local import azurite
from local.children import python
from local.eventhubs.access import connection_string
from local.processes import Supervised
from local.stack import Stack, StackOptions
from local.workspace import Workspace, topic_endpoint
from shared.contracts.status import Status

_PARTITIONS: Final = 8
_ANEW_S: Final = 60.0
_POLL_S: Final = 0.2
_STILL_S: Final = 0.8
"""A pipeline that had nothing left to do for this long is finished."""

_RESTARTS: Final = 5
"""The stack gives up a process that dies 8 times in a row, which runs must not cause."""


class Arena:
    """Runs a stack between proxies while its context is open."""

    def __init__(
        self,
        directory: Path,
        clips: dict[str, Clip],
        *,
        stylizers: int = 2,
        assemblers: int = 1,
        splitters: int = 1,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.recorder = Recorder()
        self.clips = clips
        self.broker_proxy = HubRelay(lambda: _port(self.stack.endpoints.get("eventhubs")))
        self.storage_proxy = StorageProxy(
            lambda: _port(self.stack.endpoints.get("storage")), self.recorder.note_call
        )
        self.topic_away = False
        self.topic_proxy = Relay(
            lambda: None if self.topic_away else _port(self.stack.endpoints.get("announcements"))
        )
        self.disk = Disk(directory / "work")
        self.styles = directory / "styles"
        """The folder for updated styles."""
        self._directory = directory
        self._stylizers, self._assemblers = stylizers, assemblers
        self._splitters = splitters
        self._settings = {**SETTINGS, **(settings or {})}
        self.past: list[History] = []
        """The histories up to each time that the hubs were recreated."""
        self._submitted = 0
        self._over: set[Upload] = set()
        """Those whose jobs have ended."""
        self.release = Release()
        self._rested: dict[str, int] = {}
        self._most_memory: dict[str, int] = {}
        self.videos: dict[str, bytes] = {}
        """By clip: the video that is uploaded."""
        self._closing = AsyncExitStack()

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._closing.aclose()
            raise
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self._closing.aclose()

    @property
    def stylizers(self) -> list[Supervised]:
        """The pool's processes."""
        return self.instances("stylizer")

    def instances(self, service: str) -> list[Supervised]:
        """Return all processes of a service."""
        return [p for p in self.stack.processes if p.name.partition("-")[0] == service]

    def pool_signal(self, number: signal.Signals) -> None:
        """Send a signal to all stylizers and their children."""
        for process in self.stylizers:
            signal_group(process.pid, number)

    def process(self, name: str) -> Supervised:
        """Return a process by its name."""
        return next(process for process in self.stack.processes if process.name == name)

    async def exchange(self, name: str, module: str) -> None:
        """Make a process run another module from now on, such as a service broken on purpose."""
        process = self.process(name)
        if process.command.argv[-1] != module:
            await process.stop()
            process.command = replace(process.command, argv=python(module))
            await process.start()

    async def scale(self, stylizers: int) -> None:
        """Run this many stylizers; new ones are of the release that is rolled out."""
        before = self.stylizers
        await self.stack.scale(stylizers)
        await self.release.reach([p for p in self.stylizers if p not in before])

    async def renew_hubs(self) -> None:
        """Recreate all hubs, empty, while nothing is in progress; the history so far is past."""
        self.past.append(await self.history(surely=True))
        broker = self.process("eventhubs")
        await broker.stop()
        await asyncio.to_thread(shutil.rmtree, self._directory / "eventhubs")
        self.recorder.begin_anew()
        await broker.start()
        await self._reader.begin_anew()
        with contextlib.suppress(TimeoutError):  # a failure shows in the run's verdict
            async with asyncio.timeout(_ANEW_S):
                while await self._reaches_beyond():  # noqa: ASYNC110 - it is services that we wait for
                    await asyncio.sleep(_POLL_S)

    async def skip_partition(self, hub: str, partition: str) -> None:
        """Move the position of a hub's readers past everything in a partition."""
        sequence, offset = self._reader.end_of(hub, partition)
        self.recorder.note_lost((hub, partition, n) for n in range(sequence + 1))
        await self.storage.move_checkpoint(hub, partition, sequence, offset)

    async def submit(self, clip: ClipPlan, style: str = STYLES[0]) -> Upload:
        """Upload a clip under a new name."""
        name = f"{self._submitted:03d}-{clip.name}.mp4"
        self._submitted += 1
        if clip.name not in self.videos:
            self.videos[clip.name] = await asyncio.to_thread(make_clip, clip)
        video = self.videos[clip.name]
        what = wanted(clip.name, style)
        if what not in self.clips:
            self.clips[what] = Clip(await asyncio.to_thread(look_at, video))
        etag = await self.storage.upload(name, video, style)
        return self.recorder.note_version(name, etag, what, style)

    async def repeat(self, events: Sequence[HubEvent], rng: random.Random) -> None:
        """Send copies of events, some of them to other partitions."""
        stack = self.stack
        self.recorder.note_copies(events)
        await send_copies(stack.eventhub_connection_string, events, stack.options.partitions, rng)

    async def jobs_ended(self, patience_s: float) -> bool:
        """Wait until all jobs have ended; return whether they did within ``patience_s``."""
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            if await self._ended():
                return True
            await asyncio.sleep(_POLL_S)
        return False

    async def settle(self, patience_s: float) -> bool:
        """Wait until all jobs have ended, all events are checkpointed, and nothing is left over.

        Returns:
            Whether that happened within ``patience_s``.
        """
        deadline = time.monotonic() + patience_s
        still_since, seen = time.monotonic(), -1
        while time.monotonic() < deadline:
            if len(self.recorder.events) != seen or not await self._nothing_left():
                still_since, seen = time.monotonic(), len(self.recorder.events)
            elif time.monotonic() - still_since > _STILL_S:
                return True
            await asyncio.sleep(_POLL_S)
        return False

    async def _reaches_beyond(self) -> bool:
        ends = await self._reader.catch_up()
        return any(
            reached > ends[place] for place, reached in (await self.storage.checkpoints()).items()
        )

    async def _nothing_left(self) -> bool:
        try:
            if not await self._ended() or self._work_folders() or await self.storage.leftovers():
                return False
            reached = await self.storage.checkpoints()
        except AzureError:
            return False  # storage is unavailable for now
        return all(reached.get(place) == end for place, end in self._reader.reached.items())

    async def history(self, *, surely: bool = False) -> History:
        """Return everything seen so far, and the present state.

        ``surely`` asks the broker for the ends of the hubs, which takes seconds, instead of
        trusting that a settled arena has seen all events.
        """
        ends = await self._reader.catch_up() if surely else dict(self._reader.reached)
        checkpoints = await self.storage.checkpoints()
        recorder = self.recorder
        return History(
            events=tuple(sorted(recorder.events, key=lambda event: event.at)),
            calls=tuple(recorder.calls),
            uploads=tuple(recorder.uploads),
            clips=dict(self.clips),
            results=await self.storage.results(),
            statuses=await self.storage.statuses(upload.job_id for upload in recorder.uploads),
            videos=await self.storage.videos(),
            announcements=await asyncio.to_thread(self._announcements),
            positions=tuple(
                Position(*place, end, checkpoints.get(place, -1)) for place, end in ends.items()
            ),
            leftovers=(*await self.storage.leftovers(), *self._work_folders()),
            copied=frozenset(recorder.copied),
            lost=frozenset(recorder.lost),
            troubles=tuple(recorder.troubles),
            window=int(self._settings["OUTSTANDING_CHUNKS"]) * _PARTITIONS,
            pace_patience_s=float(self._settings["PACE_PATIENCE_S"]),
            peaks=await asyncio.to_thread(self._peaks),
            chunk_attempts=int(self._settings["CHUNK_ATTEMPTS"]),
        )

    async def take_references(self) -> None:
        """Take the present results as the references of later ones."""
        timeline = Timeline(await self.history())
        clips = {upload.job_id: upload.clip for upload in self.recorder.uploads}
        for result in timeline.history.results:
            making = timeline.making(result.job_id)
            if making is not None and result.job_id in clips:
                clip = self.clips[clips[result.job_id]]
                references = {**clip.references, making: result.sha256}
                self.clips[clips[result.job_id]] = replace(clip, references=references)

    async def rest(self) -> None:
        """Restart processes that have died often, between two runs."""
        worn_out = [
            process
            for process in self.stack.processes
            if process.restarts - self._rested.get(process.name, 0) >= _RESTARTS
        ]

        async def restart(process: Supervised) -> None:
            await process.stop()
            await process.start()
            self._rested[process.name] = process.restarts

        await asyncio.gather(*map(restart, worn_out))

    async def _start(self) -> None:
        enter = self._closing.enter_async_context
        await enter(self.broker_proxy)
        await enter(self.storage_proxy)
        await enter(self.topic_proxy)
        strain = asyncio.create_task(note_strain(self.recorder.note_trouble))
        self._closing.callback(strain.cancel)
        await asyncio.to_thread(self._directory.mkdir, parents=True, exist_ok=True)
        self._closing.enter_context(self.disk.mounted())
        environment = {
            **self._settings,
            "WORK_DIR": str(self.disk.folder),
            "EVENTHUB_CONNECTION_STRING": connection_string("127.0.0.1", self.broker_proxy.port),
            "STORAGE_CONNECTION_STRING": azurite.connection_string(
                self.storage_proxy.port, Workspace(self._directory).storage_key
            ),
            "EVENTGRID_TOPIC_ENDPOINT": topic_endpoint(self.topic_proxy.port),
        }
        self.stack = Stack(
            StackOptions(
                self._directory,
                self._stylizers,
                self._assemblers,
                self._splitters,
                partitions=_PARTITIONS,
                environment=environment,
            )
        )
        await enter(self.stack)
        account = await enter(
            BlobServiceClient.from_connection_string(self.stack.storage_connection_string)
        )
        self.storage = StorageView(account)
        self._reader = await enter(
            HubReader(self.stack.eventhub_connection_string, self.recorder.note_event)
        )

    def _work_folders(self) -> tuple[str, ...]:
        """List the services' work folders, including those still in use."""
        places = (self.disk.folder, self._directory / "tmp")
        found = (folder for place in places for folder in place.glob("stylestream-*"))
        return tuple(f"work/{folder.name}" for folder in found)

    def _peaks(self) -> dict[str, int]:
        for process in self.stack.processes:
            service = process.name.partition("-")[0]
            if (usage := process.usage()) is not None:
                peak = max(usage.peak_rss_bytes, self._most_memory.get(service, 0))
                self._most_memory[service] = peak
        return dict(self._most_memory)

    async def _ended(self) -> bool:
        """Return whether all jobs have ended; who has ended once is not asked about again."""
        for upload in self.recorder.uploads:
            if upload not in self._over:
                try:
                    if not await self.storage.is_over(upload):
                        return False
                except AzureError:
                    return False  # storage is unavailable for now
                self._over.add(upload)
        return True

    def _announcements(self) -> tuple[Announcement, ...]:
        path = self.stack.announcements
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        events = map(json.loads, lines)
        return tuple(
            Announcement(event["subject"], Status.model_validate(event["data"])) for event in events
        )


def _port(endpoint: str | None) -> int | None:
    return None if endpoint is None else urlsplit(endpoint).port
