"""Writing to a partition's log, and reading all of it."""

from __future__ import annotations

from local.eventhubs.log.partition import PartitionLog


def append(
    log: PartitionLog, messages: list[bytes], now_ms: int = 1, key: str | None = None
) -> None:
    log.stage(messages, key, now_ms)
    job = log.take_staged()
    if job is not None:
        job.run()
        log.commit(job)


def everything(log: PartitionLog) -> list[tuple[int, bytes]]:
    events, offset = [], log.begin_offset
    while batch := log.read(offset, 7, 200):
        events += [(event.sequence, event.message) for event in batch]
        offset = batch[-1].next_offset
    return events
