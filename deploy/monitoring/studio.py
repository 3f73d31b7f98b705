"""The dashboard that answers: who watches in the studio, and how long do they wait?"""

from __future__ import annotations

from typing import Final

from deploy.monitoring.grafana import Dashboard, Panel, Query, Row, median_and_95th, quantile

_RATE: Final = "[$__rate_interval]"


_WATCHING: Final = Row(
    "Watching",
    (
        Panel(
            "Viewers",
            "Open pages, in all of the studio's pods.",
            "short",
            (Query("sum(web_viewers)"),),
            kind="stat",
            width=6,
        ),
        Panel(
            "Segments asked for",
            "Fragments of live pictures in the time shown.",
            "short",
            (Query("sum(increase(web_segments_total[$__range]))"),),
            kind="stat",
            width=6,
        ),
        Panel(
            "First painted picture",
            "From a job's start to its first picture on a page (95th percentile).",
            "s",
            (Query(quantile(0.95, "web_first_picture_seconds_bucket", "$__range")),),
            kind="stat",
            width=6,
            red_from=60,
            runbook="StylestreamStudioSlow",
        ),
        Panel(
            "Answers of the studio's own fault",
            "Responses with status 500 or above, in the time shown.",
            "short",
            (Query('sum(increase(web_requests_total{answer="5xx"}[$__range]))'),),
            kind="stat",
            width=6,
            red_from=1,
            runbook="StylestreamStudioFailing",
        ),
        Panel(
            "Viewers by pod",
            "When a pod ends, its viewers' pages connect to another one.",
            "short",
            (Query("sum by (instance) (web_viewers)", "{{instance}}"),),
            stacked=True,
        ),
        Panel(
            "Segments",
            "Fragments requested per second. Browsers do not request those that they have cached.",
            "suffix: /s",
            (Query(f"sum(rate(web_segments_total{_RATE}))", "segments"),),
        ),
        Panel(
            "Wait for the first painted picture",
            "Number of watched jobs by how long they waited.",
            "short",
            (Query(f"sum by (le) (increase(web_first_picture_seconds_bucket{_RATE}))", "{{le}}"),),
            kind="heatmap",
        ),
    ),
)

_SERVING: Final = Row(
    "Serving",
    (
        Panel(
            "Answers",
            "Requests by class of status code, per second.",
            "suffix: /s",
            (Query(f"sum by (answer) (rate(web_requests_total{_RATE}))", "{{answer}}"),),
            stacked=True,
            runbook="StylestreamStudioFailing",
        ),
        Panel(
            "Previews",
            "Time to paint one style on a user's own frame.",
            "s",
            median_and_95th('web_stage_seconds_bucket{stage="preview"}'),
            runbook="StylestreamStudioSlow",
        ),
        Panel(
            "Uploads",
            "Bytes of uploads that passed through the studio, per second.",
            "Bps",
            (Query(f"sum(rate(web_uploaded_bytes_total{_RATE}))", "taken"),),
        ),
        Panel(
            "Processors",
            "Cores that the studio's pods use.",
            "suffix: cores",
            (
                Query(
                    "sum(rate(process_cpu_seconds_total[$__rate_interval]) * on (job, instance) "
                    'group_left (service) stylestream_build_info{service="web"})',
                    "cores",
                ),
            ),
        ),
        Panel(
            "Storage",
            "Whether it responded to the studio's last probe.",
            "short",
            (Query("min by (dependency) (web_dependency_up)", "{{dependency}}"),),
            kind="state-timeline",
            names={"1": ("answers", "green"), "0": ("away", "red")},
        ),
    ),
)

STUDIO: Final = Dashboard(
    uid="stylestream-studio",
    title="stylestream: studio",
    about="How many people watch, what they fetch, and how long they wait for a painted picture.",
    rows=(_WATCHING, _SERVING),
)
