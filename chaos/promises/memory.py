"""SMALL: services never use more memory than small clips justify."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from chaos.promises.timeline import Timeline
from chaos.promises.violation import Violation

_MIB: Final = 2**20
_MOST: Final = {
    "splitter": 512 * _MIB,
    # A suspect chunk is painted in a child, which loads the network again.
    "stylizer": 1024 * _MIB,
    "assembler": 384 * _MIB,
    "eventhubs": 128 * _MIB,
}


def check(timeline: Timeline) -> Iterator[Violation]:
    """Check the most memory that processes have used."""
    for service, peak in timeline.history.peaks.items():
        if peak > _MOST.get(service, peak):
            yield Violation("SMALL", service, f"it took more than {_MOST[service] // _MIB} MiB")
