"""How many replicas a pool gets: from KEDA between zero and one, from Kubernetes' autoscaler above.

KEDA polls every ``polling_s``: a pool at zero with lag gets one replica, and a pool without lag for
``cooldown_s`` is scaled to zero. In between, the horizontal pod autoscaler asks KEDA for the metric
every 15 s and scales to ``ceil(metric / threshold)`` replicas (``GetExternalPerPodMetricReplicas``
in ``replica_calculator.go`` of Kubernetes), unless that is within a tenth of the present number;
its ``behavior`` limits how fast the number changes.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from deploy.scaling.keda import Lag

SYNC_S: Final = 15.0
_TOLERANCE: Final = 0.1
# Kubernetes' default for scaling up: the larger of both.
_UP_PODS, _UP_FACTOR, _UP_PERIOD_S = 4, 2, 15.0


@dataclass(frozen=True, slots=True)
class ScalingRule:
    """The scaling parameters of a ScaledObject."""

    threshold: int
    activation: int
    least: int
    most: int
    polling_s: float
    cooldown_s: float
    down_window_s: float
    down_pods: int
    down_period_s: float

    @classmethod
    def of(cls, scaled_object: Mapping[str, Any]) -> Self:
        """Read a ScaledObject's manifest, whose first trigger must be the lag."""
        spec = scaled_object["spec"]
        trigger, *_ = spec["triggers"]
        down = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleDown"]
        (policy,) = down["policies"]
        assert policy["type"] == "Pods"
        return cls(
            threshold=int(trigger["metadata"]["unprocessedEventThreshold"]),
            activation=int(trigger["metadata"]["activationUnprocessedEventThreshold"]),
            least=spec["minReplicaCount"],
            most=spec["maxReplicaCount"],
            polling_s=spec["pollingInterval"],
            cooldown_s=spec["cooldownPeriod"],
            down_window_s=down["stabilizationWindowSeconds"],
            down_pods=policy["value"],
            down_period_s=policy["periodSeconds"],
        )


class Autoscaler:
    """One pool's autoscaler. Call `look` every `SYNC_S` seconds, with increasing times."""

    def __init__(self, rule: ScalingRule) -> None:
        self._rule = rule
        self._polled_s = -math.inf
        self._active_s = -math.inf
        self._wishes: deque[tuple[float, int]] = deque()
        self._changes: deque[tuple[float, int]] = deque()

    def look(self, now_s: float, lag: Lag, replicas: int) -> int:
        """Return the new number of replicas of a pool that has ``replicas``."""
        if now_s - self._polled_s >= self._rule.polling_s:
            self._polled_s = now_s
            replicas = self._switch(now_s, lag, replicas)
        if replicas == 0:
            self._wishes.clear()
            return 0
        return self._adjust(now_s, lag, replicas)

    def _switch(self, now_s: float, lag: Lag, replicas: int) -> int:
        """Decide like KEDA between zero and some."""
        if lag.wakes(self._rule.activation):
            self._active_s = now_s
            return replicas or max(1, self._rule.least)
        if self._rule.least == 0 and now_s - self._active_s >= self._rule.cooldown_s:
            return 0
        return replicas

    def _adjust(self, now_s: float, lag: Lag, replicas: int) -> int:
        """Decide like the horizontal pod autoscaler how many."""
        wish = self._wish(lag, replicas)
        self._wishes.append((now_s, wish))
        while self._wishes[0][0] < now_s - self._rule.down_window_s:
            self._wishes.popleft()
        # Down only to the highest number that was wanted within the window.
        steady = max(wish for _, wish in self._wishes)
        if wish > replicas:
            return self._change(now_s, replicas, min(wish, self._highest(now_s, replicas)))
        return self._change(
            now_s, replicas, max(min(steady, replicas), self._lowest(now_s, replicas))
        )

    def _wish(self, lag: Lag, replicas: int) -> int:
        metric, threshold = lag.metric(self._rule.threshold), self._rule.threshold
        wish = replicas
        if abs(metric / (threshold * replicas) - 1) > _TOLERANCE:
            wish = math.ceil(metric / threshold)
        return min(max(wish, self._rule.least, 1), self._rule.most)

    def _highest(self, now_s: float, replicas: int) -> int:
        before = replicas - self._changed(now_s - _UP_PERIOD_S, +1)
        return max(before + _UP_PODS, before * _UP_FACTOR)

    def _lowest(self, now_s: float, replicas: int) -> int:
        before = replicas - self._changed(now_s - self._rule.down_period_s, -1)
        return max(before - self._rule.down_pods, 1)

    def _changed(self, since_s: float, direction: int) -> int:
        """Return the sum of the changes in one direction since a time."""
        return sum(by for when, by in self._changes if when > since_s and by * direction > 0)

    def _change(self, now_s: float, replicas: int, wanted: int) -> int:
        if wanted != replicas:
            self._changes.append((now_s, wanted - replicas))
        while self._changes and self._changes[0][0] < now_s - 3600:
            self._changes.popleft()
        return wanted
