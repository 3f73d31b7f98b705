"""The benchmark's results as Markdown tables."""

from __future__ import annotations

from collections.abc import Iterator

from bench import peers, small_jobs
from bench.media import MediaFigures
from bench.pipeline import CLIENT, JobFigures, ProcessCost
from bench.scale_out import report as scale_out
from bench.suite import Figures


def table(figures: Figures) -> str:
    """Return the figures as Markdown."""
    return "\n\n".join("\n".join(part) for part in _parts(figures))


def _parts(figures: Figures) -> Iterator[list[str]]:
    network = figures.networks[0]
    yield [
        f"{figures.machine}; {figures.taken_at}; style {figures.style}, "
        f"{network.device} {network.precision}, "
        f"{figures.stylizers} stylizer{'s' if figures.stylizers > 1 else ''}"
    ]
    yield _summary(figures)
    yield ["By frame size; the cost of a frame beside the network is that of all processes:"]
    yield _sizes(figures)
    if figures.networks_fp32:
        yield [f"The bare network in {network.precision} and in fp32:"]
        yield _precisions(figures)
    yield [
        "CPU time and peak memory of each process: its resident memory, and its proportional "
        "share, since processes have much memory in common:"
    ]
    yield _costs(figures.pipeline.jobs)
    yield ["Media path alone, on one core, without painting:"]
    yield [
        "| size | split frames/s | split on all cores, frames/s | mux frames/s "
        "| mezzanine dB | round trip dB | mezzanine KB a frame | segment KB a frame "
        "| segment CPU ms a frame |",
        "|---|---|---|---|---|---|---|---|---|",
        *(_media_row(media) for media in figures.media),
    ]
    if figures.small_jobs is not None:
        yield [small_jobs.table(figures.small_jobs)]
    if figures.scale_out is not None:
        yield [scale_out.table(figures.scale_out)]
    if figures.peers is not None:
        yield [peers.table(figures.peers) if figures.peers else f"{peers.NOT_INSTALLED}."]


def _summary(figures: Figures) -> list[str]:
    pipeline, job = figures.pipeline, figures.pipeline.jobs[0]
    bare = figures.networks[0].frames_per_second
    rows = [
        ("bare network", f"{bare:.1f} frames/s"),
        ("end to end", f"{job.frames_per_second:.1f} frames/s"),
        ("ratio", f"{job.frames_per_second / bare:.2f}"),
        ("upload to first segment", f"{job.first_segment_s:.2f} s"),
        ("last segment to result", f"{job.result_after_last_segment_s:.2f} s"),
        ("whole job", f"{job.seconds:.1f} s for {job.frames} frames"),
        ("start of a stack", f"{pipeline.start_s:.1f} s"),
        ("stop of a temporary stack", f"{pipeline.stop_s:.1f} s"),
    ]
    return [
        f"| at {job.size} | |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in rows),
    ]


def _sizes(figures: Figures) -> list[str]:
    return [
        "| size | painted at | frames | bare network, frames/s | end to end, frames/s | ratio "
        "| network, CPU ms a frame | beside it, CPU ms a frame | largest process, MiB |",
        "|---|---|---|---|---|---|---|---|---|",
        *(
            f"| {job.size} | {job.painted} | {job.frames} | {bare.frames_per_second:.1f} "
            f"| {job.frames_per_second:.1f} "
            f"| {job.frames_per_second / bare.frames_per_second:.2f} "
            f"| {bare.cpu_ms_per_frame:.1f} | {job.cpu_ms_per_frame - bare.cpu_ms_per_frame:.1f} "
            f"| {job.largest_process_mib:.0f} |"
            for job in figures.pipeline.jobs
            for bare in figures.networks
            if bare.size == job.painted
        ),
    ]


def _precisions(figures: Figures) -> list[str]:
    name = figures.networks[0].precision
    return [
        f"| size | {name}, frames/s | fp32, frames/s | ratio "
        f"| {name}, CPU ms a frame | fp32, CPU ms a frame | ratio |",
        "|---|---|---|---|---|---|---|",
        *(
            f"| {fast.size} | {fast.frames_per_second:.1f} | {fp32.frames_per_second:.1f} "
            f"| {fast.frames_per_second / fp32.frames_per_second:.2f} "
            f"| {fast.cpu_ms_per_frame:.1f} | {fp32.cpu_ms_per_frame:.1f} "
            f"| {fast.cpu_ms_per_frame / fp32.cpu_ms_per_frame:.2f} |"
            for fast, fp32 in zip(figures.networks, figures.networks_fp32, strict=True)
        ),
    ]


def _costs(jobs: list[JobFigures]) -> list[str]:
    """Return the CPU time and the memory of each process, by size."""
    sizes = [job.size for job in jobs]
    return [
        f"| process | {' | '.join(f'CPU ms a frame, {size}' for size in sizes)} "
        f"| {' | '.join(f'peak MiB, its share, {size}' for size in sizes)} |",
        "|---" * (1 + 2 * len(jobs)) + "|",
        *(_cost_row(name, jobs) for name in jobs[0].processes),
        f"| all | {' | '.join(f'{job.cpu_ms_per_frame:.2f}' for job in jobs)} |{' |' * len(jobs)}",
    ]


def _cost_row(name: str, jobs: list[JobFigures]) -> str:
    costs = [job.processes[name] for job in jobs]
    cpu = (f"{cost.cpu_ms_per_frame:.2f}" for cost in costs)
    # The client is the benchmark itself, which also holds clips and a network.
    memory = ("" if name == CLIENT else _memory(cost) for cost in costs)
    return f"| {' | '.join((name, *cpu, *memory))} |"


def _memory(cost: ProcessCost) -> str:
    return f"{cost.peak_memory_mib:.0f}, {cost.peak_share_mib:.0f}"


def _media_row(media: MediaFigures) -> str:
    return (
        f"| {media.size} | {media.split_frames_per_second:.0f} "
        f"| {media.split_on_all_cores:.0f} | {media.mux_frames_per_second:.0f} "
        f"| {media.mezzanine_psnr_db:.1f} | {media.round_trip_psnr_db:.1f} "
        f"| {media.mezzanine_kb_per_frame:.1f} | {media.segment_kb_per_frame:.1f} "
        f"| {media.segment_cpu_ms_per_frame:.2f} |"
    )
