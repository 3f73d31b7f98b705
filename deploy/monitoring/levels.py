"""The dashboard that answers: do users get what was promised, and who waits for whom?"""

from __future__ import annotations

from typing import Final

from deploy.monitoring.grafana import Dashboard, Panel, Query, Row, median_and_95th

_RATE: Final = "[$__rate_interval]"
_LOST: Final = "sum_over_time(slo:jobs_lost:rate5m[$__range])"
_JUDGED: Final = "sum_over_time(slo:jobs_judged:rate5m[$__range])"
_LATE: Final = "sum_over_time(slo:starts_late:rate5m[$__range])"
_STARTS: Final = "sum_over_time(slo:starts:rate5m[$__range])"


def _share(title: str, about: str, expr: str) -> Panel:
    return Panel(title, about, "percentunit", (Query(expr),), kind="stat", width=6)


_OBJECTIVES: Final = Row(
    "Objectives, in the time shown",
    (
        _share(
            "Jobs that brought a result",
            "Of all jobs, not counting users' mistakes. The objective is 99.5 %.",
            f"1 - {_LOST} / ({_JUDGED} > 0)",
        ),
        _share(
            "Error budget left",
            "What may still be lost; below 0 the objective is missed.",
            f"1 - {_LOST} / ({_JUDGED} > 0) / 0.005",
        ),
        _share(
            "Uploads begun within ten minutes",
            "Whose first segment was painted in time. The objective is 95 %.",
            f"1 - {_LATE} / ({_STARTS} > 0)",
        ),
        _share(
            "Budget of late starts left",
            "How many uploads may still be started late; below 0 the objective is missed.",
            f"1 - {_LATE} / ({_STARTS} > 0) / 0.05",
        ),
    ),
)


_WAITING: Final = Row(
    "What users wait for",
    (
        Panel(
            "Upload to first segment",
            "From the writing of an upload (median and 95th percentile). Event Grid, the "
            "autoscaler and cold starts are included.",
            "s",
            median_and_95th("assembler_first_segment_seconds_bucket"),
            red_from=600,
            runbook="StylestreamSlowToStart",
        ),
        Panel(
            "Upload to result",
            "From the writing of an upload to the publication of its result.",
            "s",
            median_and_95th("assembler_result_seconds_bucket"),
        ),
        Panel(
            "Waiting for budget",
            "Videos whose uploader is over budget: until one of the uploader's jobs ends, or the "
            "next day (UTC) begins.",
            "suffix: videos",
            (Query("sum(splitter_over_budget_videos)", "wait"),),
        ),
        Panel(
            "Failures by fault",
            "Failed jobs and events per minute, by fault: the user's or the service's.",
            "suffix: /min",
            (
                Query(
                    f"60 * sum by (fault) (rate(assembler_errors_total{_RATE}))",
                    "{{fault}}",
                ),
            ),
            stacked=True,
            runbook="StylestreamOwnFault",
        ),
        Panel(
            "Results without their tracks",
            "Results published without some of their sound or subtitle tracks, by code.",
            "suffix: results",
            (
                Query(
                    # Where there are none, one 0 rather than one for each code.
                    "sum by (code) (increase(assembler_lost_tracks_total[$__range]) > 0) "
                    "or sum(increase(assembler_lost_tracks_total[$__range])) == 0",
                    "{{code}}",
                ),
            ),
            runbook="StylestreamTracksLost",
        ),
    ),
)

_BACKLOG: Final = Row(
    "Who waits, seen by the exporter",
    (
        Panel(
            "Backlog",
            "Events that are retained and not yet processed, even while no consumer reads them.",
            "suffix: events",
            (Query("max by (service) (stylestream_backlog_events)", "for the {{service}}"),),
            runbook="StylestreamNobodyPaints",
        ),
        Panel(
            "Oldest waiting event",
            "Its age. An open job's events wait until it ends.",
            "s",
            (Query("max by (service) (stylestream_backlog_age_seconds)", "for the {{service}}"),),
            runbook="StylestreamNobodySplits",
        ),
        Panel(
            "Retention left",
            "Time until the oldest waiting event expires.",
            "s",
            (
                Query(
                    "min by (service) (stylestream_backlog_retention_left_seconds)",
                    "for the {{service}}",
                ),
            ),
            runbook="StylestreamRetentionRunsOut",
        ),
        Panel(
            "Partitions read",
            "Share of the partitions that a live consumer owns; 0 while a pool is at zero.",
            "percentunit",
            (
                Query(
                    "max by (service) (stylestream_hub_owned_partitions / "
                    "stylestream_hub_partitions)",
                    "by the {{service}}",
                ),
            ),
            runbook="StylestreamNobodyAssembles",
        ),
        Panel(
            "Uploads not announced",
            "Age of the oldest upload that is newer than every event in the hub of uploads.",
            "s",
            (Query("max(stylestream_uploads_unannounced_seconds)", "waits"),),
            red_from=300,
            runbook="StylestreamUploadsUnannounced",
        ),
        Panel(
            "Events expired",
            "Events that expired before they were processed.",
            "suffix: events",
            (
                Query(
                    "max by (service) (stylestream_backlog_expired_events)", "for the {{service}}"
                ),
            ),
            red_from=1,
            runbook="StylestreamEventsExpired",
        ),
    ),
)

_TENANTS: Final = Row(
    "By tenant",
    (
        Panel(
            "Results",
            "Results per minute, by the first folder of the uploads' names.",
            "suffix: /min",
            (
                Query(
                    f"60 * sum by (tenant) (rate(assembler_result_seconds_count{_RATE}))",
                    "{{tenant}}",
                ),
            ),
            stacked=True,
        ),
        Panel(
            "Mean wait for a result",
            "Shows whether one tenant's videos wait longer than others'.",
            "s",
            (
                Query(
                    f"sum by (tenant) (rate(assembler_result_seconds_sum{_RATE})) / "
                    f"sum by (tenant) (rate(assembler_result_seconds_count{_RATE}) > 0)",
                    "{{tenant}}",
                ),
            ),
        ),
        Panel(
            "Work",
            "Processors and GPUs used for the jobs that ended.",
            "suffix: s/s",
            (
                Query(
                    f"sum by (tenant, on) (rate(assembler_work_seconds_total{_RATE}))",
                    "{{tenant}} {{on}}",
                ),
            ),
            stacked=True,
        ),
    ),
)

LEVELS: Final = Dashboard(
    uid="stylestream-levels",
    title="stylestream: service levels",
    about="Whether the objectives are met, and what jobs are waiting for.",
    rows=(_OBJECTIVES, _WAITING, _BACKLOG, _TENANTS),
)
