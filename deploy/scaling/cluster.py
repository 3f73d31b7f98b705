"""The GPU nodes: requested when a pod has no room, cold for minutes, paid until deleted."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from deploy.scaling.agenda import Agenda
from deploy.scaling.assumptions import Assumptions
from deploy.scaling.pool import Pool, Stylizer


@dataclass(slots=True, eq=False)
class Node:
    """A virtual machine with one GPU, and so with room for one pod."""

    asked_s: float
    stylizer: Stylizer | None = None
    taken: bool = False
    """Whether a pod is assigned to it, which may still be starting or draining."""
    idle_periods: int = 0
    """How often it became idle, so that an old timer does not delete a node in use."""
    deleted: bool = False


class Cluster:
    """Gives the pool as many stylizers as it wants, as soon as there are nodes."""

    def __init__(self, agenda: Agenda, assumptions: Assumptions, pool: Pool) -> None:
        self._agenda = agenda
        self._assumptions = assumptions
        self._pool = pool
        # Not for secrets: the sequence must be repeatable.
        self._chance = random.Random(f"cluster {assumptions.seed}")  # noqa: S311
        self._nodes: list[Node] = []
        self._waiting = 0
        self._coming = 0
        self.paid_s = 0.0
        self.cold_starts = 0
        self.evictions = 0
        start_s, end_s = assumptions.no_capacity_s
        if end_s > start_s:
            agenda.after(start_s, self._evict_all)

    @property
    def nodes(self) -> int:
        """The number of nodes that are paid for now."""
        return sum(node.asked_s <= self._agenda.now_s for node in self._nodes)

    def resize(self, replicas: int) -> None:
        """Set how many stylizers are wanted."""
        while self._pods < replicas:
            self._add_pod()
        while self._pods > replicas:
            self._remove_pod()

    @property
    def _pods(self) -> int:
        ending = sum(
            node.stylizer is not None and node.stylizer.on_gone is not None for node in self._nodes
        )
        return self._waiting + sum(node.taken for node in self._nodes) - ending

    def _add_pod(self) -> None:
        free = next((node for node in self._ready if not node.taken), None)
        if free is not None:
            self._start(free, self._assumptions.pod_start_s)
            return
        self._waiting += 1
        if self._coming < self._waiting:
            self._ask()

    def _remove_pod(self) -> None:
        """End a pod: like Kubernetes, one that is not running yet, else the youngest."""
        if self._waiting:
            self._waiting -= 1
            return
        starting = next((node for node in self._nodes if node.taken and not node.stylizer), None)
        if starting is not None:
            self._fall_idle(starting)
            return
        node = next(node for node in reversed(self._nodes) if _runs(node))
        assert node.stylizer is not None
        self._pool.leave(node.stylizer, lambda: self._fall_idle(node))

    @property
    def _ready(self) -> list[Node]:
        return [node for node in self._nodes if node.idle_periods]

    def _ask(self) -> None:
        refused_s = self._refused_s()
        node = Node(self._agenda.now_s + refused_s)
        self._nodes.append(node)
        self._coming += 1
        self.cold_starts += 1
        assumptions = self._assumptions
        # One random number for both: a slow time is slow for machines and images.
        luck = self._chance.random()
        parts = (assumptions.node_cold_s, assumptions.image_pull_s)
        cold_s = sum(least + (most - least) * luck for least, most in parts)
        self._agenda.after(refused_s + cold_s, lambda: self._arrive(node))

    def _refused_s(self) -> float:
        """Return for how long no node is available, which costs nothing."""
        start_s, end_s = self._assumptions.no_capacity_s
        return end_s - self._agenda.now_s if start_s <= self._agenda.now_s < end_s else 0.0

    def _evict_all(self) -> None:
        for node in [node for node in self._nodes if node.idle_periods]:
            self._evict(node)

    def _arrive(self, node: Node) -> None:
        self._coming -= 1
        self._fall_idle(node)
        if self._assumptions.evictions_an_hour:
            lifetime_s = self._chance.expovariate(self._assumptions.evictions_an_hour / 3600)
            self._agenda.after(lifetime_s, lambda: self._evict(node))

    def _start(self, node: Node, delay_s: float) -> None:
        node.taken = True
        period = node.idle_periods

        def run() -> None:
            if node.taken and not node.deleted and node.idle_periods == period:
                node.stylizer = self._pool.join()

        self._agenda.after(delay_s, run)

    def _fall_idle(self, node: Node) -> None:
        """Give a free node to a waiting pod, or delete it if it stays idle."""
        node.stylizer, node.taken = None, False
        node.idle_periods += 1
        if self._waiting:
            self._waiting -= 1
            self._start(node, 0.0)
            return
        self._agenda.after(self._assumptions.node_idle_s, self._unless_used(node))

    def _unless_used(self, node: Node) -> Callable[[], None]:
        period = node.idle_periods

        def delete() -> None:
            if not node.taken and not node.deleted and node.idle_periods == period:
                self._delete(node)

        return delete

    def _evict(self, node: Node) -> None:
        if node.deleted:
            return
        self.evictions += 1
        ending = node.stylizer is not None and node.stylizer.on_gone is not None
        if node.stylizer is not None:
            self._pool.vanish(node.stylizer)
        lost = node.taken and not ending
        self._delete(node)
        if lost:
            self._add_pod()

    def _delete(self, node: Node) -> None:
        node.deleted = True
        self._nodes.remove(node)
        self.paid_s += self._agenda.now_s - node.asked_s


def _runs(node: Node) -> bool:
    return node.stylizer is not None and node.stylizer.on_gone is None
