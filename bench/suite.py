"""What one run of the benchmark measures, and in which order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from bench import inference, media, peers, pipeline, small_jobs
from bench.inference import NetworkSpeed, Size
from bench.media import MediaFigures
from bench.peers import Speed
from bench.pipeline import Case, PipelineFigures
from bench.scale_out.measure import Step
from bench.scale_out.measure import measure as measure_scale_out
from bench.small_jobs import SmallJobs
from local.machine import describe_machine
from shared.service.machine import usable_cores
from stylizer.painting.precision import EngineSetting

Suite = Literal["quick", "full"]

_FP32: Final = "fp32"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be measured."""

    suite: Suite
    frames: int
    """Frames of the clip at 640x360; larger clips are short enough to take some seconds."""
    style: str
    stylizers: int
    engine: EngineSetting | None
    """Overrides the environment."""
    environment: Mapping[str, str]
    """Added to the environment of the stack's services."""

    @property
    def cases(self) -> list[Case]:
        """Return the clips that the stack paints."""
        small, middle, large = (
            Case(640, 360, self.frames),
            Case(1280, 720, 150),
            Case(1920, 1080, 72),
        )
        return [small, middle, large] if self.suite == "full" else [small, large]

    @property
    def network_sizes(self) -> list[Size]:
        """Return the sizes for the bare network: those of the cases, then further ones."""
        painted = [case.painted for case in self.cases]
        whole = [(case.width, case.height) for case in self.cases]
        return list(dict.fromkeys(painted + whole if self.suite == "full" else painted))

    @property
    def media_cases(self) -> list[Case]:
        """Return the sizes that are split and joined without painting."""
        cases = [Case(640, 360, 300), Case(1280, 720, 150)]
        return [*cases, Case(1920, 1080, 72)] if self.suite == "full" else cases


@dataclass(frozen=True, slots=True)
class Figures:
    """The results of one benchmark run."""

    machine: str
    taken_at: str
    style: str
    stylizers: int
    networks: list[NetworkSpeed]
    """The bare network, at least at every size at which jobs' frames are painted."""
    networks_fp32: list[NetworkSpeed]
    """The same in fp32; empty unless the suite is full and the precision is another one."""
    pipeline: PipelineFigures
    media: list[MediaFigures]
    small_jobs: SmallJobs | None
    """Many short videos; None unless the suite is full."""
    scale_out: list[Step] | None
    """Pools of simulated stylizers; None unless the suite is full."""
    peers: list[Speed] | None
    """Comparison with another package's network, if the suite is full and it is installed."""


async def measure(wanted: Wanted, tell: Callable[[str], None]) -> Figures:
    """Measure one thing after another, so that none shares the machine.

    ``tell`` is called with what is measured next.

    Raises:
        StylestreamError: a measured job failed.
    """
    full = wanted.suite == "full"
    tell("the bare network")
    networks = await _networks(wanted)
    of_machine = networks[0].precision
    networks_fp32: list[NetworkSpeed] = []
    if full and of_machine != _FP32:
        tell("the bare network in fp32")
        networks_fp32 = await _networks(wanted, _FP32)
    tell("the whole pipeline")
    whole = await pipeline.measure(wanted.cases, wanted.style, wanted.stylizers, wanted.environment)
    tell("splitting and joining")
    media_figures = await _media(wanted.media_cases)
    small, scale_out, others = None, None, None
    if full:
        tell("many short videos")
        small = await small_jobs.measure(wanted.style, wanted.stylizers, wanted.environment)
        tell("pools of simulated stylizers")
        scale_out = await measure_scale_out()
        tell("another package's network")
        others = await asyncio.to_thread(peers.measure, *peers.SIZE) or []
    return Figures(
        machine=describe_machine(),
        taken_at=datetime.now(UTC).date().isoformat(),
        style=wanted.style,
        stylizers=wanted.stylizers,
        networks=networks,
        networks_fp32=networks_fp32,
        pipeline=whole,
        media=media_figures,
        small_jobs=small,
        scale_out=scale_out,
        peers=others,
    )


async def _networks(wanted: Wanted, precision: Literal["fp32"] | None = None) -> list[NetworkSpeed]:
    return await asyncio.to_thread(
        inference.measure,
        wanted.style,
        wanted.network_sizes,
        usable_cores(),
        wanted.engine,
        precision,
    )


async def _media(cases: Sequence[Case]) -> list[MediaFigures]:
    return [
        await asyncio.to_thread(media.measure, case.frames, case.width, case.height)
        for case in cases
    ]
