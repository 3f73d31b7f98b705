"""Event hubs: partitions, consumer groups and the readers of a partition.

A partition commits in groups: what is published during a write is staged, and written
together as soon as that write is done. Nothing is delayed to form a group, and nothing is
acknowledged before it is synced.
"""

from __future__ import annotations

import asyncio
import logging
import time
import zlib
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final
from weakref import WeakValueDictionary

from local.eventhubs.addresses import DEFAULT_GROUP, Position
from local.eventhubs.amqp.errors import (
    ARGUMENT_ERROR,
    INTERNAL_ERROR,
    NOT_FOUND,
    AmqpError,
    LinkFault,
)
from local.eventhubs.eventdata import LastEnqueued
from local.eventhubs.groups import ReaderSeats
from local.eventhubs.log.files import WriteJob
from local.eventhubs.log.partition import PartitionLog, Retention
from local.eventhubs.log.segment import Event

_LOGGER: Final = logging.getLogger(__name__)

Published = Callable[[AmqpError | None], None]


def now_ms() -> int:
    """Return the time in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class HubSpec:
    """A hub as declared. If ``groups`` is None, every consumer group exists on request."""

    name: str
    partitions: int
    groups: frozenset[str] | None = None


class Partition:
    """One partition: its log, and the readers that wait for its next event."""

    def __init__(self, name: str, directory: Path, retention: Retention, pool: Executor) -> None:
        self.name = name
        self._log = PartitionLog(directory, retention)
        self._pool = pool
        self._writing: asyncio.Future[None] | None = None
        self._staged: list[Published] = []
        self._waiting: set[Callable[[], None]] = set()

    # -- publishing ---------------------------------------------------------------------

    def publish(self, messages: list[bytes], key: str | None, done: Published) -> None:
        """Append events; ``done`` is called with None once they are durable, else the error."""
        self._log.stage(messages, key, now_ms())
        self._staged.append(done)
        if self._writing is None:
            self._write()

    async def flush(self) -> None:
        """Wait until nothing is being written."""
        while self._writing is not None:
            await asyncio.wait([self._writing])
            await asyncio.sleep(0)  # lets the write's callback run

    def close(self) -> None:
        """Close the files."""
        self._log.close()

    def _write(self) -> None:
        callbacks, self._staged = self._staged, []
        try:
            job = self._log.take_staged()
        except OSError as error:  # such as that no more files can be opened
            self._refuse(callbacks, error)
            return
        if job is None:
            # Empty batches are not stored.
            _call_each(partial(done, None) for done in callbacks)
            return
        loop = asyncio.get_running_loop()
        self._writing = loop.run_in_executor(self._pool, job.run)
        self._writing.add_done_callback(
            lambda future: self._written(job, callbacks, future.exception())
        )

    def _written(
        self, job: WriteJob, callbacks: list[Published], error: BaseException | None
    ) -> None:
        self._writing = None
        if error is not None:
            self._refuse(callbacks, error)
            return
        self._log.commit(job)
        if self._staged:
            self._write()
        _call_each(partial(done, None) for done in callbacks)
        waiting, self._waiting = self._waiting, set()
        _call_each(waiting)

    def _refuse(self, callbacks: list[Published], error: BaseException) -> None:
        _LOGGER.error("cannot write to partition %s: %r", self.name, error)
        # The numbers of what was staged behind the failed write continue from it.
        callbacks += self._staged
        self._staged = []
        self._log.roll_back()
        fault = LinkFault(INTERNAL_ERROR, "The event could not be stored.")
        _call_each(partial(done, fault) for done in callbacks)

    # -- reading ------------------------------------------------------------------------

    @property
    def end_offset(self) -> int:
        """The offset of the next event to be committed, or a lower one."""
        return self._log.end_offset

    def locate(self, position: Position) -> int:
        """Return the offset to read from; a position beyond the log raises ``LinkFault``."""
        log, last = self._log, self._log.last
        match position.kind:
            case "start":
                return log.begin_offset
            case "latest":
                return log.end_offset
            case "time":
                return log.offset_from_time(position.value, inclusive=position.inclusive)
            case "sequence":
                if position.value > last.sequence + (1 if position.inclusive else 0):
                    raise _beyond("sequence number", position.value, last.sequence)
                return log.offset_from_sequence(position.value, inclusive=position.inclusive)
        if position.value > max(last.offset, 0 if position.inclusive else -1):
            raise _beyond("offset", position.value, last.offset)
        return log.offset_from_offset(position.value, inclusive=position.inclusive)

    def read(self, offset: int, max_events: int) -> list[Event]:
        """Return events from ``offset`` on, at least one if there are any."""
        return self._log.read(offset, max_events)

    def when_more(self, wake: Callable[[], None]) -> None:
        """Call ``wake`` once, after the next commit."""
        self._waiting.add(wake)

    def forget(self, wake: Callable[[], None]) -> None:
        """Undo ``when_more``."""
        self._waiting.discard(wake)

    # -- properties ---------------------------------------------------------------------

    @property
    def last_enqueued(self) -> LastEnqueued:
        """The newest event; sentinel values if there has never been one."""
        last = self._log.last
        return LastEnqueued(last.sequence, str(last.offset), last.enqueued_ms)

    @property
    def begin_sequence(self) -> int:
        """The sequence number of the oldest event kept, or -1."""
        return self._log.begin_sequence

    @property
    def is_empty(self) -> bool:
        """Whether no event is kept."""
        return self._log.is_empty

    def enforce_retention(self) -> None:
        """Drop what exceeds the retention's age or size, unless a write is in progress."""
        if self._writing is None:
            dropped = self._log.enforce_retention(now_ms())
            if dropped:
                _LOGGER.info("dropped %d segments of partition %s", dropped, self.name)


class Hub:
    """An event hub."""

    def __init__(
        self,
        spec: HubSpec,
        created_ms: int,
        directory: Path,
        retention: Retention,
        pool: Executor,
    ) -> None:
        self.name = spec.name
        self.created_ms = created_ms
        self._groups = spec.groups
        self.partitions = {
            str(number): Partition(
                f"{spec.name}/{number}", directory / str(number), retention, pool
            )
            for number in range(spec.partitions)
        }
        # Only readers keep seats alive, since clients may ask for any number of groups.
        self._seats: WeakValueDictionary[tuple[str, str], ReaderSeats] = WeakValueDictionary()
        self._next = 0

    def partition(self, name: str) -> Partition:
        """Return the partition of a name; an unknown name raises ``LinkFault``."""
        partition = self.partitions.get(name)
        if partition is None:
            message = f"The partition '{name}' of event hub '{self.name}' could not be found."
            raise LinkFault(NOT_FOUND, message)
        return partition

    def partition_for(self, key: str | None) -> Partition:
        """Return the partition of a key, always the same; without a key, the next in turn."""
        if key is None:
            number = self._next
            self._next = (number + 1) % len(self.partitions)
        else:
            number = zlib.crc32(key.encode()) % len(self.partitions)
        return self.partitions[str(number)]

    def seats(self, group: str, partition: str) -> ReaderSeats:
        """Return a partition's readers for a group; an unknown group raises ``LinkFault``."""
        group = group.lower()
        if self._groups is not None and group not in self._groups and group != DEFAULT_GROUP:
            message = f"The consumer group '{group}' of '{self.name}' could not be found."
            raise LinkFault(NOT_FOUND, message)
        return self._seats.setdefault((group, partition), ReaderSeats())


def _call_each(callbacks: Iterable[Callable[[], None]]) -> None:
    for call in callbacks:
        try:
            call()
        except Exception:
            # A bug may cost one client its answer, but must not hold up the others.
            _LOGGER.exception("a client was not told of a commit")


def _beyond(what: str, value: int, last: int) -> LinkFault:
    message = f"The supplied {what} '{value}' is invalid. The last {what} in the system is '{last}'"
    return LinkFault(ARGUMENT_ERROR, message)
