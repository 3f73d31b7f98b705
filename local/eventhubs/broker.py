"""The namespace: its hubs, its policy, and its data directory."""

from __future__ import annotations

import dataclasses
import fcntl
import json
import logging
import os
import zlib
from collections.abc import Iterable
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from local.eventhubs.amqp.errors import NOT_FOUND, LinkFault
from local.eventhubs.authorization import Policy
from local.eventhubs.errors import ConfigurationError, LogCorruptError
from local.eventhubs.hub import Hub, HubSpec, Partition, now_ms
from local.eventhubs.limits import Limits
from local.eventhubs.log.files import sync_directory
from local.eventhubs.log.partition import Retention
from local.eventhubs.notices import Notices

_LOGGER: Final = logging.getLogger(__name__)
_VERSION: Final = 3
_SHOWN: Final = 100  # characters of a name that a client sent


@dataclass(frozen=True, slots=True)
class StoredHub:
    """What the data directory stores about a hub."""

    name: str
    partitions: int
    created_ms: int


def _checksum(hubs: list[StoredHub]) -> str:
    return f"{zlib.crc32(repr([dataclasses.astuple(hub) for hub in hubs]).encode()):08x}"


class DataDirectory:
    """The directory of one broker, held by one process at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            message = f"The data directory {path} cannot be used: {error.strerror}."
            raise ConfigurationError(message) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            message = f"The data directory {path} is in use by another process."
            raise ConfigurationError(message) from error

    def hub(self, name: str) -> Path:
        """Return the folder of a hub, which contains a folder for each partition."""
        return self.path / "hubs" / name.lower()

    def close(self) -> None:
        """Release the directory to other processes."""
        os.close(self._lock)

    def reconcile(self, specs: Iterable[HubSpec]) -> list[tuple[HubSpec, int]]:
        """Return the existing and the requested hubs, with their times of creation.

        A hub keeps the partitions that it was created with: requesting another number
        raises ``ConfigurationError``, which names all hubs concerned.
        """
        stored = {hub.name: hub for hub in self._load()}
        problems = []
        wanted: dict[str, HubSpec] = {
            hub.name: HubSpec(hub.name, hub.partitions) for hub in stored.values()
        }
        for spec in specs:
            before = stored.get(spec.name)
            if before is not None and before.partitions != spec.partitions:
                problems.append(
                    f"The hub '{spec.name}' has {before.partitions} partitions in {self.path}, "
                    f"and cannot be given {spec.partitions}."
                )
            wanted[spec.name] = spec
        if problems:
            raise ConfigurationError(*problems)
        now = now_ms()
        hubs = [
            (spec, stored[name].created_ms if name in stored else now)
            for name, spec in wanted.items()
        ]
        kept = [StoredHub(spec.name, spec.partitions, created) for spec, created in hubs]
        if kept != list(stored.values()):  # a full disk must not prevent a start
            self._save(kept)
        return hubs

    def _load(self) -> list[StoredHub]:
        path = self.path / "hubs.json"
        try:
            document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            version = document["version"]
            hubs = [StoredHub(**hub) for hub in document["hubs"]]
            checksum = document.get("checksum")
            if version == _VERSION and checksum not in (None, _checksum(hubs)):
                message = "its content does not match its checksum"
                raise ValueError(message)
        except FileNotFoundError:
            return []
        except (OSError, ValueError, KeyError, TypeError) as error:
            message = (
                f"{path} is damaged or cannot be read ({type(error).__name__}: {error}). It names "
                f"the hubs and their numbers of partitions, which the folders in "
                f"{self.path / 'hubs'} show: put it right with a text editor, without a checksum, "
                f"or move {self.path} away to start without its events."
            )
            raise ConfigurationError(message) from error
        if version != _VERSION:
            message = f"{path} was written by another version of this program."
            raise ConfigurationError(message)
        if checksum is None:
            self._save(hubs)
        return hubs

    def _save(self, hubs: list[StoredHub]) -> None:
        entries = [
            {"name": hub.name, "partitions": hub.partitions, "created_ms": hub.created_ms}
            for hub in hubs
        ]
        path = self.path / "hubs.json"
        new = path.with_suffix(".new")
        with new.open("w", encoding="utf-8") as file:
            document = {"version": _VERSION, "checksum": _checksum(hubs), "hubs": entries}
            json.dump(document, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
        (self.path / "hubs").mkdir(exist_ok=True)
        sync_directory(self.path)


class Broker:
    """Everything that connections share."""

    def __init__(
        self,
        directory: DataDirectory,
        specs: Iterable[HubSpec],
        *,
        policy: Policy,
        retention: Retention,
        limits: Limits,
        pool: Executor,
    ) -> None:
        self.policy = policy
        self.notices = Notices()
        self.limits = limits
        try:
            self._hubs = {
                spec.name.lower(): Hub(spec, created_ms, directory.hub(spec.name), retention, pool)
                for spec, created_ms in directory.reconcile(specs)
            }
        except (OSError, LogCorruptError) as error:
            message = f"The events in {directory.path} cannot be read: {error}."
            raise ConfigurationError(message) from error

    def hub(self, name: str) -> Hub:
        """Return the hub of a name; an unknown name raises ``LinkFault``."""
        hub = self._hubs.get(name.lower())
        if hub is None:
            there = ", ".join(sorted(each.name for each in self._hubs.values())) or "none"
            text = f"a client asks for the hub '{name[:_SHOWN]}'; the hubs that exist: {there}"
            self.notices.warn("unknown hubs", text)
            message = f"The messaging entity '{name}' could not be found."
            raise LinkFault(NOT_FOUND, message)
        return hub

    @property
    def partitions(self) -> list[Partition]:
        """All partitions of all hubs."""
        return [each for hub in self._hubs.values() for each in hub.partitions.values()]

    def enforce_retention(self) -> None:
        """Drop what exceeds the retention's age or size, in each partition."""
        for partition in self.partitions:
            try:
                partition.enforce_retention()
            except OSError:
                _LOGGER.exception("cannot drop old events of partition %s", partition.name)

    async def close(self) -> None:
        """Finish pending writes, and close the files."""
        for partition in self.partitions:
            await partition.flush()
            partition.close()
