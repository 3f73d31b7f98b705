"""The dashboard that answers: is the pool as large as it should be, and what does it cost?"""

from __future__ import annotations

from typing import Final

from deploy.monitoring.grafana import Dashboard, Panel, Query, Row, Text

_RATE: Final = "[$__rate_interval]"
_REPLICAS: Final = 'count(stylestream_build_info{service="stylizer"})'
_STYLIZER_HOURS: Final = (
    f"avg_over_time(({_REPLICAS} or vector(0))[$__range:1m]) * $__range_s / 3600"
)
_COST: Final = f"{_STYLIZER_HOURS} * $price"

_POOL: Final = Row(
    "The pool",
    (
        Panel(
            "Replicas",
            "Processes of each service that Prometheus sees.",
            "short",
            (Query("count by (service) (stylestream_build_info)", "{{service}}"),),
        ),
        Panel(
            "Stylizers wanted",
            "Stylizers that the lag calls for, before limits and stabilization: one for each "
            "$threshold chunks.",
            "short",
            (
                Query(
                    "ceil(max(stylestream_backlog_events{service='stylizer'}) / $threshold)",
                    "wanted",
                ),
                Query(_REPLICAS, "there"),
            ),
        ),
        Panel(
            "Lag against threshold",
            "Waiting chunks, by stylizer. Above the line the pool should grow.",
            "suffix: chunks",
            (
                Query(
                    f"max(stylestream_backlog_events{{service='stylizer'}}) / {_REPLICAS}",
                    "for each stylizer",
                ),
                Query("vector($threshold)", "threshold"),
            ),
        ),
        Panel(
            "Chunks by stylizer",
            "Chunks finished per second. Nearly equal when the pool is busy and the machines "
            "are alike.",
            "suffix: chunks/s",
            (
                Query(
                    f'sum by (instance) (rate(stylizer_chunks_total{{outcome="stylized"}}{_RATE}))',
                    "{{instance}}",
                ),
            ),
            stacked=True,
        ),
        Panel(
            "Partitions by stylizer",
            "A stylizer without a partition has nothing to do: the pool is larger than the hub.",
            "short",
            (Query("sum by (instance) (stylizer_owned_partitions)", "{{instance}}"),),
            stacked=True,
        ),
        Panel(
            "Time spent painting",
            "Chunks that are being painted at once, by stylizer: near its number of lanes when "
            "it is busy, near 0 when it is not needed.",
            "short",
            (
                Query(
                    f'sum by (instance) (rate(stylizer_stage_seconds_sum{{stage="paint"}}{_RATE}))',
                    "{{instance}}",
                ),
            ),
        ),
    ),
)

_GPU: Final = Row(
    "GPUs",
    (
        Panel(
            "GPU use",
            "Share of time in which the GPU computed. Low use with chunks waiting means that "
            "decoding or encoding is the bottleneck: give the pod more cores.",
            "percentunit",
            (
                Query(
                    "avg by (instance, gpu) (stylizer_gpu_utilization_ratio)",
                    "{{instance}} {{gpu}}",
                ),
            ),
        ),
        Panel(
            "GPU memory",
            "In use, as a share of the total.",
            "percentunit",
            (
                Query(
                    "stylizer_gpu_memory_used_bytes / stylizer_gpu_memory_total_bytes",
                    "{{instance}} {{gpu}}",
                ),
            ),
        ),
        Panel(
            "GPU power",
            "Power drawn by each GPU.",
            "watt",
            (Query("sum by (instance, gpu) (stylizer_gpu_power_watts)", "{{instance}} {{gpu}}"),),
        ),
    ),
)

_BILL: Final = Row(
    "Cost in the time shown",
    (
        Panel(
            "Stylizer hours",
            "Hours of all stylizers together.",
            "h",
            (Query(_STYLIZER_HOURS),),
            kind="stat",
            width=6,
        ),
        Panel(
            "Cost of the stylizers",
            "At $price an hour; enter the price of your machines above.",
            "currencyUSD",
            (Query(_COST),),
            kind="stat",
            width=6,
        ),
        Panel(
            "Cost of a minute of video",
            "For each minute of published video, at that price.",
            "currencyUSD",
            (Query(f"{_COST} / (sum(increase(assembler_video_seconds_total[$__range])) / 60)"),),
            kind="stat",
            width=6,
        ),
        Panel(
            "Frames for an hour of stylizer",
            "Frames published for each hour that a stylizer ran, idle or not.",
            "short",
            (Query(f"sum(increase(assembler_frames_total[$__range])) / ({_STYLIZER_HOURS})"),),
            kind="stat",
            width=6,
        ),
    ),
)

SCALING: Final = Dashboard(
    uid="stylestream-scaling",
    title="stylestream: scaling and cost",
    about="Whether the pool is as large as it should be, and what it costs.",
    rows=(_POOL, _GPU, _BILL),
    variables=(
        Text("threshold", "Chunks for a stylizer (the autoscaler's threshold)", "256"),
        Text("price", "Price of a stylizer's machine, an hour", "1"),
    ),
)
