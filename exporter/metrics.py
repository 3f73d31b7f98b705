"""The exporter's metrics: every hub's backlog, and whether uploads are announced."""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry, Gauge

from shared.service.backlog import Backlog
from shared.telemetry.metrics import announce_build, dependency_gauge


class ExporterMetrics:
    """Gauges by hub and by the service that reads it, so that alerts need not know hubs' names.

    Nothing is set before it was measured, so a missing series differs from a backlog of 0.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        announce_build(registry, "exporter")
        self._dependency = dependency_gauge(registry, "exporter")

        def of_hub(name: str, about: str) -> Gauge:
            return Gauge(f"stylestream_{name}", about, ["service", "hub"], registry=registry)

        self._enqueued = of_hub("hub_enqueued_events", "Events ever sent to the hub")
        self._finished = of_hub("hub_finished_events", "Events processed, or expired")
        self._waiting = of_hub("backlog_events", "Events retained and not yet processed")
        self._age = of_hub(
            "backlog_age_seconds", "Age of the oldest event not yet processed; 0 without any"
        )
        self._retention_left = of_hub(
            "backlog_retention_left_seconds",
            "Time until the hub drops the oldest event not yet processed",
        )
        self._expired = of_hub(
            "backlog_expired_events", "Events that the hub dropped before they were processed"
        )
        self._owned = of_hub("hub_owned_partitions", "Partitions that a living consumer owns")
        self._partitions = of_hub("hub_partitions", "Partitions of the hub")
        self._unannounced = Gauge(
            "stylestream_uploads_unannounced_seconds",
            "Age of the oldest upload that is newer than every event in its hub; 0 without any",
            registry=registry,
        )
        self._looked = Gauge(
            "stylestream_looked_timestamp_seconds",
            "When the exporter last saw what it reports",
            ["what"],
            registry=registry,
        )

    def hub(self, service: str, seen: Backlog, age_s: float, retention_s: float) -> None:
        """Report a hub that ``service`` reads; ``age_s`` is the age of its oldest waiting event."""
        labels = {"service": service, "hub": seen.hub}
        self._enqueued.labels(**labels).set(seen.enqueued)
        self._finished.labels(**labels).set(seen.finished)
        self._waiting.labels(**labels).set(seen.waiting)
        self._age.labels(**labels).set(age_s)
        self._retention_left.labels(**labels).set(max(0.0, retention_s - age_s))
        self._expired.labels(**labels).set(seen.expired)
        self._owned.labels(**labels).set(seen.owned)
        self._partitions.labels(**labels).set(len(seen.partitions))
        self._looked.labels(what=service).set(time.time())

    def uploads(self, unannounced_s: float) -> None:
        """Report how long an upload has waited to be announced."""
        self._unannounced.set(unannounced_s)
        self._looked.labels(what="uploads").set(time.time())

    def dependency(self, name: str, up: bool) -> None:
        """Note whether a dependency, under a name fixed in the code, answered."""
        self._dependency.labels(dependency=name).set(up)
