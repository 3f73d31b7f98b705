"""The stylizers and the hub that they read: who owns which partition, and which chunk is painted.

Like the real consumers, a stylizer paints only chunks of partitions that it owns, in order, and
partitions follow a change of the pool with a delay. So a new stylizer is idle at first, and the
work of a lost one waits.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from deploy.scaling.agenda import Agenda
from deploy.scaling.assumptions import Assumptions
from deploy.scaling.keda import Lag


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk on its way through the pipeline."""

    video: int
    index: int
    frames: int
    sent_s: float = 0.0


@dataclass(slots=True, eq=False)
class Partition:
    """One partition of the hub: the chunks that wait in it, and when it may be claimed."""

    waiting: deque[Chunk] = field(default_factory=deque)
    owner: Stylizer | None = None
    claimable_s: float = 0.0


@dataclass(slots=True, eq=False)
class Stylizer:
    """A stylizer, which paints one chunk at a time, like one GPU with any number of lanes."""

    owned: list[Partition] = field(default_factory=list)
    turn: int = 0
    in_hand: tuple[Partition, Chunk] | None = None
    on_gone: Callable[[], None] | None = None
    """Called when it has drained; set when it is told to end."""
    vanished: bool = False


class Pool:
    """All stylizers and all partitions."""

    def __init__(
        self, agenda: Agenda, assumptions: Assumptions, painted: Callable[[Chunk], None]
    ) -> None:
        self._agenda = agenda
        self._assumptions = assumptions
        self._painted = painted
        self._partitions = [Partition() for _ in range(assumptions.partitions)]
        self._turns = itertools.cycle(self._partitions)
        self._unfinished = 0
        self.stylizers: list[Stylizer] = []
        self.repeated = 0
        """Chunks whose painting was interrupted and started again."""

    @property
    def lag(self) -> Lag:
        """The lag that KEDA sees; chunks in hand count, because they are not checkpointed."""
        return Lag(self._unfinished, len(self._partitions))

    def put(self, chunk: Chunk) -> None:
        """Add a chunk to the next partition; splitters distribute them round robin."""
        partition = next(self._turns)
        partition.waiting.append(chunk)
        self._unfinished += 1
        if partition.owner is not None:
            self._work(partition.owner)

    def join(self) -> Stylizer:
        """Add a stylizer, which gets partitions later."""
        stylizer = Stylizer()
        self.stylizers.append(stylizer)
        self._agenda.after(self._assumptions.balance_s, self._balance)
        return stylizer

    def leave(self, stylizer: Stylizer, on_gone: Callable[[], None]) -> None:
        """Drain a stylizer: it finishes the chunk in hand and takes up no other."""
        self.stylizers.remove(stylizer)
        stylizer.on_gone = on_gone
        if stylizer.in_hand is None:
            self._go(stylizer)

    def vanish(self, stylizer: Stylizer) -> None:
        """Remove a stylizer without notice."""
        if stylizer in self.stylizers:
            self.stylizers.remove(stylizer)
        stylizer.vanished = True
        if stylizer.in_hand is not None:
            partition, chunk = stylizer.in_hand
            partition.waiting.appendleft(chunk)
            stylizer.in_hand = None
            self.repeated += 1
        self._release(stylizer, self._assumptions.orphan_s)

    def _go(self, stylizer: Stylizer) -> None:
        self._release(stylizer, 0.0)
        assert stylizer.on_gone is not None
        stylizer.on_gone()

    def _release(self, stylizer: Stylizer, unclaimable_s: float) -> None:
        for partition in stylizer.owned:
            partition.owner = None
            partition.claimable_s = self._agenda.now_s + unclaimable_s
        stylizer.owned = []
        self._agenda.after(unclaimable_s + self._assumptions.balance_s, self._balance)

    def _balance(self) -> None:
        """Give free partitions to the stylizers with the fewest, then even out."""
        if not self.stylizers:
            return
        for partition in self._partitions:
            if partition.owner is None and partition.claimable_s <= self._agenda.now_s:
                self._give(partition, min(self.stylizers, key=_share))
        while True:
            least, most = min(self.stylizers, key=_share), max(self.stylizers, key=_share)
            if _share(most) - _share(least) <= 1:
                break
            self._give(most.owned.pop(), least)
        for stylizer in self.stylizers:
            self._work(stylizer)

    def _give(self, partition: Partition, stylizer: Stylizer) -> None:
        partition.owner = stylizer
        stylizer.owned.append(partition)

    def _work(self, stylizer: Stylizer) -> None:
        """Let a stylizer take up the next chunk of its partitions, round robin."""
        if stylizer.in_hand is not None or stylizer.on_gone is not None:
            return
        for step in range(len(stylizer.owned)):
            turn = (stylizer.turn + step) % len(stylizer.owned)
            partition = stylizer.owned[turn]
            if partition.waiting:
                stylizer.turn = turn + 1
                chunk = partition.waiting.popleft()
                stylizer.in_hand = partition, chunk
                self._agenda.after(
                    chunk.frames / self._assumptions.gpu_speed, lambda: self._finish(stylizer)
                )
                return

    def _finish(self, stylizer: Stylizer) -> None:
        if stylizer.vanished:
            return
        assert stylizer.in_hand is not None
        _, chunk = stylizer.in_hand
        stylizer.in_hand = None
        self._unfinished -= 1
        self._painted(chunk)
        if stylizer.on_gone is not None:
            self._go(stylizer)
        else:
            self._work(stylizer)


def _share(stylizer: Stylizer) -> int:
    return len(stylizer.owned)
