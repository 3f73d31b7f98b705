"""The dashboard that answers: how much comes out, how fast, and in which styles?"""

from __future__ import annotations

from typing import Final

from deploy.monitoring.grafana import Choice, Dashboard, Panel, Query, Row, median_and_95th

_PAINTED: Final = (
    'rate(stylizer_frames_total{style=~"$style", instance=~"$stylizer"}[$__rate_interval])'
)


_PERIOD: Final = Row(
    "In the time shown",
    (
        Panel(
            "Videos published",
            "Results that users can fetch, degraded ones included.",
            "short",
            (Query('sum(increase(assembler_jobs_total{outcome=~"done|degraded"}[$__range]))'),),
            kind="stat",
            width=6,
        ),
        Panel(
            "Videos failed",
            "Jobs that ended without a result; their records name the causes.",
            "short",
            (Query('sum(increase(assembler_jobs_total{outcome="failed"}[$__range]))'),),
            kind="stat",
            width=6,
            red_from=1,
        ),
        Panel(
            "Frames painted",
            "Frames of the chosen styles, by the chosen stylizers.",
            "short",
            (
                Query(
                    "sum(increase(stylizer_frames_total"
                    '{style=~"$style", instance=~"$stylizer"}[$__range]))'
                ),
            ),
            kind="stat",
            width=6,
        ),
        Panel(
            "Video published",
            "Playing time of all results.",
            "s",
            (Query("sum(increase(assembler_video_seconds_total[$__range]))"),),
            kind="stat",
            width=6,
        ),
    ),
)

_OVERALL: Final = Row(
    "All videos",
    (
        Panel(
            "Videos a minute",
            "Jobs that ended, by outcome.",
            "suffix: /min",
            (
                Query(
                    "60 * sum by (outcome) (rate(assembler_jobs_total[$__rate_interval]))",
                    "{{outcome}}",
                ),
            ),
            stacked=True,
        ),
        Panel(
            "Frames a second",
            "By service. In the long run all three are equal; if they are not, frames are "
            "waiting between the services.",
            "suffix: frames/s",
            tuple(
                Query(f"sum(rate({service}_frames_total[$__rate_interval]))", done)
                for service, done in (
                    ("splitter", "split"),
                    ("stylizer", "painted"),
                    ("assembler", "published"),
                )
            ),
        ),
        Panel(
            "Real-time ratio",
            "Seconds of video published a second, by the whole pipeline and by one job on its own. "
            "Above 1 the pipeline keeps up with a live source.",
            "suffix: x",
            (
                Query("sum(rate(assembler_video_seconds_total[$__rate_interval]))", "pipeline"),
                Query(
                    "sum(rate(assembler_video_seconds_total[$__rate_interval])) / "
                    "sum(rate(assembler_result_seconds_sum[$__rate_interval]))",
                    "one job",
                ),
            ),
        ),
        Panel(
            "Upload to result",
            "From the writing of an upload to its result (median and 95th percentile).",
            "s",
            median_and_95th("assembler_result_seconds_bucket"),
            width=12,
        ),
        Panel(
            "Chunks a second",
            "Chunks that the stylizers took up, by outcome.",
            "suffix: chunks/s",
            (
                Query(
                    "sum by (outcome) (rate(stylizer_chunks_total[$__rate_interval]))",
                    "{{outcome}}",
                ),
            ),
            width=12,
            stacked=True,
        ),
    ),
)

_BY: Final = Row(
    "By style and stylizer",
    (
        Panel(
            "Frames a second by style",
            "A mixture of styles counts as blend, whatever its parts.",
            "suffix: frames/s",
            (Query(f"sum by (style) ({_PAINTED})", "{{style}}"),),
            width=12,
            stacked=True,
        ),
        Panel(
            "Frames a second by stylizer",
            "One that paints less than the others has a slower machine, or fewer partitions.",
            "suffix: frames/s",
            (Query(f"sum by (instance) ({_PAINTED})", "{{instance}}"),),
            width=12,
            stacked=True,
        ),
    ),
)

THROUGHPUT: Final = Dashboard(
    uid="stylestream-throughput",
    title="stylestream: throughput",
    about="How many frames are painted, how fast, and in which styles.",
    rows=(_PERIOD, _OVERALL, _BY),
    variables=(
        Choice("style", "Style", "label_values(stylizer_frames_total, style)"),
        Choice("stylizer", "Stylizer", "label_values(stylizer_in_hand, instance)"),
    ),
)
