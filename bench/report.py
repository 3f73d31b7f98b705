"""The benchmark's result, as JSON for programs and as a table for people."""

from __future__ import annotations

from dataclasses import dataclass

from bench.media import MediaFigures
from bench.pipeline import CLIENT, LARGE, PipelineFigures, ProcessCost
from bench.scale_out import report as scale_out
from bench.scale_out.measure import Step


@dataclass(frozen=True, slots=True)
class Figures:
    """All that one benchmark run found out."""

    machine: str
    taken_at: str
    style: str
    stylizers: int
    device: str
    precision: str
    inference_frames_per_second: float
    pipeline: PipelineFigures
    ratio: float
    """Frames/s of the pipeline over frames/s of the bare network."""
    media: list[MediaFigures]
    scale_out: list[Step]
    """Pools of simulated stylizers; empty unless the suite is the full one."""


def table(figures: Figures) -> str:
    """Return the figures as Markdown."""
    pipeline = figures.pipeline
    rows = [
        ("bare network", f"{figures.inference_frames_per_second:.1f} frames/s"),
        ("end to end", f"{pipeline.frames_per_second:.1f} frames/s"),
        ("ratio", f"{figures.ratio:.2f}"),
        ("upload to first segment", f"{pipeline.first_segment_s:.2f} s"),
        ("last segment to result", f"{pipeline.result_after_last_segment_s:.2f} s"),
        ("whole job", f"{pipeline.seconds:.1f} s for {pipeline.frames} frames"),
        ("start of a stack", f"{pipeline.start_s:.1f} s"),
        ("stop of a temporary stack", f"{pipeline.stop_s:.1f} s"),
    ]
    return "\n".join(
        [
            f"{figures.machine}; {figures.taken_at}; 640x360, style {figures.style}, "
            f"{figures.device} {figures.precision}, "
            f"{figures.stylizers} stylizer{'s' if figures.stylizers > 1 else ''}",
            "",
            "| figure | value |",
            "|---|---|",
            *(f"| {name} | {value} |" for name, value in rows),
            "",
            *_costs(pipeline),
            "",
            "Media path alone, on one core, without painting:",
            "",
            "| size | split frames/s | split on all cores, frames/s | mux frames/s "
            "| mezzanine dB | round trip dB | mezzanine KB a frame | segment KB a frame "
            "| segment CPU ms a frame |",
            "|---|---|---|---|---|---|---|---|---|",
            *(_media_row(media) for media in figures.media),
            *(["", scale_out.table(figures.scale_out)] if figures.scale_out else []),
        ]
    )


def _costs(pipeline: PipelineFigures) -> list[str]:
    """Return what each process costs, with large pictures, too."""
    total, large = (
        sum(cost.cpu_ms_per_frame for cost in costs.values())
        for costs in (pipeline.processes, pipeline.large)
    )
    name = f"{LARGE[0]}x{LARGE[1]}"
    return [
        "Of memory, what was resident at most, and what was a process's share of it at most, since "
        "processes have much in common:",
        "",
        f"| process | CPU ms a frame | at {name} | peak memory MiB, its share | at {name} |",
        "|---|---|---|---|---|",
        *(
            _cost_row(name, cost, pipeline.large.get(name))
            for name, cost in pipeline.processes.items()
        ),
        f"| all | {total:.2f} | {large:.2f} | | |",
    ]


def _cost_row(name: str, cost: ProcessCost, large: ProcessCost | None) -> str:
    cpu = (f"{each.cpu_ms_per_frame:.2f}" if each else "" for each in (cost, large))
    # The benchmark itself is the client, and its memory that of clips and a network of its own.
    memory = ("" if name == CLIENT else _memory(each) for each in (cost, large))
    return f"| {' | '.join((name, *cpu, *memory))} |"


def _memory(cost: ProcessCost | None) -> str:
    return f"{cost.peak_memory_mib:.0f}, {cost.peak_share_mib:.0f}" if cost else ""


def _media_row(media: MediaFigures) -> str:
    return (
        f"| {media.size} | {media.split_frames_per_second:.0f} "
        f"| {media.split_on_all_cores:.0f} | {media.mux_frames_per_second:.0f} "
        f"| {media.mezzanine_psnr_db:.1f} | {media.round_trip_psnr_db:.1f} "
        f"| {media.mezzanine_kb_per_frame:.1f} | {media.segment_kb_per_frame:.1f} "
        f"| {media.segment_cpu_ms_per_frame:.2f} |"
    )
