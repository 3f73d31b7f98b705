"""The command ``stylestream bench``."""

from __future__ import annotations

import asyncio
import json
from argparse import Namespace
from dataclasses import asdict
from datetime import UTC, datetime

from bench import inference, media, pipeline
from bench.report import Figures, table
from bench.scale_out.measure import measure as measure_scale_out
from cli.commands.common import engine_environment, find_engine_problems, refuse
from cli.results import find_unwritable_file
from local.defaults import DEFAULT_STYLE, gallery
from local.machine import describe_machine
from shared.contracts.errors import StyleError
from shared.service.machine import usable_cores
from shared.telemetry import logs


async def bench(arguments: Namespace) -> int:
    """Measure, print JSON or tables, and write the tables where ``--markdown`` says."""
    refuse(_problems(arguments))
    logs.configure("WARNING", "console", "bench")
    bare = await asyncio.to_thread(
        inference.measure, arguments.style, 640, 360, usable_cores(), arguments.engine
    )
    whole = await pipeline.measure(
        arguments.frames,
        arguments.style,
        arguments.stylizers,
        engine_environment(arguments.engine),
    )
    figures = Figures(
        machine=describe_machine(),
        taken_at=datetime.now(UTC).date().isoformat(),
        style=arguments.style,
        stylizers=arguments.stylizers,
        device=bare.device,
        precision=bare.precision,
        inference_frames_per_second=bare.frames_per_second,
        pipeline=whole,
        ratio=whole.frames_per_second / bare.frames_per_second,
        media=[
            await asyncio.to_thread(media.measure, *case)
            for case in ((300, 640, 360), (150, 1280, 720))
        ],
        scale_out=await measure_scale_out() if arguments.suite == "full" else [],
    )
    print(json.dumps(asdict(figures)) if arguments.json else table(figures))
    if arguments.markdown:
        arguments.markdown.write_text(
            f"# Performance\n\nMeasured by `{_command(arguments)}`.\n\n{table(figures)}\n",
            encoding="utf-8",
        )
    return 0


def _problems(arguments: Namespace) -> list[str]:
    problems = find_unwritable_file(f"--markdown {arguments.markdown}", arguments.markdown)
    problems += find_engine_problems(arguments.engine)
    try:
        gallery().find(arguments.style)
    except StyleError as error:
        problems.append(error.message)
    return problems


def _command(arguments: Namespace) -> str:
    """Return what repeats the measurement."""
    words = [f"stylestream bench --frames {arguments.frames}"]
    if arguments.style != DEFAULT_STYLE:
        words.append(f"--style {arguments.style}")
    if arguments.suite != "quick":
        words.append(f"--suite {arguments.suite}")
    if arguments.stylizers > 1:
        words.append(f"--stylizers {arguments.stylizers}")
    if arguments.engine is not None:
        words.append(f"--engine {arguments.engine}")
    return " ".join([*words, f"--markdown {arguments.markdown}"])
