"""The dashboard that answers: is anything stuck, slow, or lost, and where?"""

from __future__ import annotations

from typing import Final

from deploy.monitoring.grafana import Dashboard, Panel, Query, Row, quantile

SERVICES: Final = ("splitter", "stylizer", "assembler")
STAGES: Final = {
    "splitter": ("split", "ship"),
    "stylizer": ("download", "paint", "upload", "announce"),
    "assembler": ("mux", "verify", "publish"),
}
"""The stages that each service measures, in the order in which data pass them."""


def _each(expr: str, legend: str) -> tuple[Query, ...]:
    """Return the query for each service, with its name in place of SERVICE."""
    return tuple(
        Query(expr.replace("SERVICE", service), f"{service} {legend}".strip())
        for service in SERVICES
    )


def _any(expr: str) -> str:
    """Return the union over all services; those of pools at zero have no series."""
    return " or ".join(expr.replace("SERVICE", service) for service in SERVICES)


def _of_process(expr: str) -> str:
    """Return a process metric summed by service, whatever the job label."""
    return f"sum by (service) ({expr} * on (job, instance) group_left (service) {_BUILD})"


_BUILD: Final = "stylestream_build_info"
_RATE: Final = "[$__rate_interval]"


def _number(title: str, about: str, expr: str, unit: str = "short", red_from: float = 1) -> Panel:
    return Panel(title, about, unit, (Query(expr),), kind="stat", width=4, red_from=red_from)


_NOW: Final = Row(
    "Now",
    (
        _number(
            "Chunks waiting",
            "Unfinished events of the hub frames, even while no stylizer runs.",
            'max(stylestream_backlog_events{service="stylizer"})',
            red_from=10_000,
        ),
        _number(
            "Open jobs", "Jobs that have not ended.", "sum(assembler_open_jobs)", red_from=10_000
        ),
        _number(
            "Stalled jobs",
            "Open jobs that make no progress.",
            "sum(assembler_stalled_jobs)",
        ),
        _number(
            "Oldest job",
            "Age of the oldest open job.",
            "max(assembler_oldest_job_age_seconds)",
            "s",
            red_from=3600,
        ),
        _number(
            "Dead letters",
            "Events moved to the dead letters in the time shown.",
            f"sum({_any('increase(SERVICE_dead_letters_total[$__range])')})",
        ),
        _number(
            "Dependencies away",
            "Event hubs and storage accounts that do not respond, counted once for each process.",
            f"count(({_any('SERVICE_dependency_up')}) == 0) or vector(0)",
        ),
    ),
)

_LAG: Final = Row(
    "Lag",
    (
        Panel(
            "Lag by hub",
            "Events not yet finished, as the autoscaler counts them, in partitions that have an "
            "owner.",
            "suffix: events",
            _each("sum by (hub) (SERVICE_lag_events)", "{{hub}}"),
        ),
        Panel(
            "Lag of the hub frames by partition",
            "A partition that stays behind the others holds an event that is not being finished.",
            "suffix: events",
            (Query("sum by (partition) (stylizer_lag_events)", "{{partition}}"),),
        ),
        Panel(
            "Since the last sign of life",
            "Time since the SDK last called a consumer back. It does so every few seconds, with "
            "or without events, unless the service is at capacity.",
            "s",
            _each(
                "max by (hub) (time() - (SERVICE_last_callback_timestamp_seconds > 0))", "{{hub}}"
            ),
            red_from=300,
        ),
        Panel(
            "Partitions owned",
            "By instance. Every partition has one owner, except during a takeover.",
            "short",
            _each("sum by (instance) (SERVICE_owned_partitions)", "{{instance}}"),
            stacked=True,
        ),
        Panel(
            "Checkpoints",
            "Time to write one (95th percentile).",
            "s",
            _each(quantile(0.95, "SERVICE_checkpoint_seconds_bucket"), ""),
        ),
        Panel(
            "Connection errors",
            "Each is retried: errors of Event Hubs, checkpoints not written, clients rebuilt.",
            "suffix: /s",
            (
                Query(f"sum({_any(f'rate(SERVICE_eventhub_errors_total{_RATE})')})", "errors"),
                Query(
                    f"sum({_any(f'rate(SERVICE_checkpoint_failures_total{_RATE})')})", "checkpoints"
                ),
                Query(f"sum({_any(f'rate(SERVICE_consumer_rebuilds_total{_RATE})')})", "rebuilds"),
            ),
        ),
    ),
)


def _heatmap(service: str, stage: str) -> Panel:
    labels = f'{{stage="{stage}"}}'
    expr = f"sum by (le) (increase({service}_stage_seconds_bucket{labels}{_RATE}))"
    return Panel(
        f"{service}: {stage}",
        "Number of units of work by their duration.",
        "short",
        (Query(expr, "{{le}}"),),
        kind="heatmap",
    )


_STAGES: Final = Row(
    "Time in each stage",
    tuple(_heatmap(service, stage) for service, stages in STAGES.items() for stage in stages),
)

_SATURATION: Final = Row(
    "Saturation",
    (
        Panel(
            "Work in hand",
            "Uploads, chunks and jobs in progress.",
            "short",
            _each("sum(SERVICE_in_hand)", ""),
        ),
        Panel(
            "Chunks outstanding",
            "Chunks shipped by the splits in progress and not yet painted.",
            "suffix: chunks",
            (Query("sum(splitter_outstanding_chunks)", "outstanding"),),
        ),
        Panel(
            "Time that splits waited",
            "Share of a second in which splits waited for the stylizers to catch up.",
            "percentunit",
            (Query(f"sum(rate(splitter_paced_seconds_sum{_RATE}))", "waiting"),),
        ),
        Panel(
            "Processors",
            "Cores in use by the services' processes, without isolated ones.",
            "suffix: cores",
            (Query(_of_process(f"rate(process_cpu_seconds_total{_RATE})"), "{{service}}"),),
        ),
        Panel(
            "Memory",
            "Resident memory of the services' processes.",
            "bytes",
            (Query(_of_process("process_resident_memory_bytes"), "{{service}}"),),
        ),
        Panel(
            "Jobs in hand",
            "Open jobs, and those among them that make no progress.",
            "short",
            (
                Query("sum(assembler_open_jobs)", "open"),
                Query("sum(assembler_stalled_jobs)", "stalled"),
            ),
        ),
    ),
)

_FAILURES: Final = Row(
    "Failures",
    (
        Panel(
            "Failures by code",
            "Permanent failures a minute; docs/runbook.md lists the codes.",
            "suffix: /min",
            _each(f"60 * sum by (code) (rate(SERVICE_errors_total{_RATE}) > 0)", "{{code}}"),
            stacked=True,
        ),
        Panel(
            "Dead letters by code",
            "Events moved to the dead letters, per minute.",
            "suffix: /min",
            _each(f"60 * sum by (code) (rate(SERVICE_dead_letters_total{_RATE}) > 0)", "{{code}}"),
            stacked=True,
        ),
        Panel(
            "Retries",
            "Units of work retried, per second.",
            "suffix: /s",
            _each(f"sum(rate(SERVICE_retries_total{_RATE}))", ""),
        ),
        Panel(
            "Attempts at chunks",
            "In the stylizer's process or, after a failure, in a separate one; and chunks that "
            "were passed on unpainted.",
            "suffix: /s",
            (
                Query(f"sum by (kind) (rate(stylizer_attempts_total{_RATE}))", "{{kind}}"),
                Query(f"sum(rate(stylizer_passed_through_total{_RATE}))", "passed through"),
            ),
        ),
        Panel(
            "Chunks sent again",
            "Missing chunks of stalled jobs, sent to the stylizers again.",
            "suffix: /min",
            (Query(f"60 * sum(rate(assembler_redriven_chunks_total{_RATE}))", "sent again"),),
        ),
        Panel(
            "Deliveries over HTTP",
            "Responses to Event Grid's deliveries to the webhook: accepted, refused for good, "
            "unauthorised, or to be retried.",
            "suffix: /min",
            (
                Query(
                    f"60 * sum by (outcome) (rate(splitter_webhook_deliveries_total{_RATE}))",
                    "{{outcome}}",
                ),
            ),
            stacked=True,
        ),
        Panel(
            "Announcements",
            "Attempts to announce to the topic how jobs ended; a deferred one is repeated.",
            "suffix: /min",
            (
                Query(
                    "60 * sum by (state, outcome) "
                    f"(rate(assembler_announcements_total{_RATE}) > 0)",
                    "{{state}} {{outcome}}",
                ),
            ),
            stacked=True,
        ),
        Panel(
            "Dependencies",
            "Whether each responded to the last probe.",
            "short",
            _each("min by (dependency) (SERVICE_dependency_up)", "{{dependency}}"),
            kind="state-timeline",
            names={"1": ("answers", "green"), "0": ("away", "red")},
        ),
    ),
)

HEALTH: Final = Dashboard(
    uid="stylestream-health",
    title="stylestream: pipeline health",
    about="Whether anything is stuck, slow or lost, and where.",
    rows=(_NOW, _LAG, _STAGES, _SATURATION, _FAILURES),
)
