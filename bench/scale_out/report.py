"""The simulated pool's figures as a Markdown table."""

from __future__ import annotations

from collections.abc import Sequence

from bench.scale_out.measure import FRAME_S, Step


def table(steps: Sequence[Step]) -> str:
    """Return the steps as Markdown, with what was saturated first."""
    return "\n".join(
        [
            f"A pool of simulated stylizers, {1000 * FRAME_S:.0f} ms a frame; 'shared after' is "
            "the time from when newcomers began to read the hub until all had their share of it:",
            "",
            "| stylizers | frames/s | of the ideal | shared after | cores busy | busiest process "
            "| saturated |",
            "|---|---|---|---|---|---|---|",
            *map(_row, steps),
            "",
            _first_full(steps),
        ]
    )


def _row(step: Step) -> str:
    busiest = max(step.cores, key=lambda name: step.cores[name])
    return (
        f"| {step.stylizers} | {step.frames_per_second:.1f} of {step.ideal:.1f} "
        f"| {step.efficiency:.2f} | {step.shared_s:.1f} s | {sum(step.cores.values()):.2f} "
        f"| {busiest}, {step.cores[busiest]:.2f} | {step.full or ''} |"
    )


def _first_full(steps: Sequence[Step]) -> str:
    for step in steps:
        if step.full is not None:
            pool = "1 stylizer" if step.stylizers == 1 else f"{step.stylizers} stylizers"
            return f"Saturated first, with {pool}: {step.full}."
    return "Nothing was saturated: neither the cores nor a single-threaded process."
