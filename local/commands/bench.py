"""The command ``stylestream bench``."""

from __future__ import annotations

import asyncio
import json
from argparse import Namespace
from dataclasses import asdict
from datetime import UTC, datetime

from local.bench import inference, media, pipeline
from local.bench.report import Figures, describe_machine, table
from local.defaults import gallery
from stylizer.settings import usable_cores


async def bench(arguments: Namespace) -> int:
    """Measure, print JSON or tables, and write the tables where ``--markdown`` says."""
    gallery().find(arguments.style)
    bare = await asyncio.to_thread(
        inference.frames_per_second, arguments.style, 640, 360, usable_cores()
    )
    whole = await pipeline.measure(arguments.frames, arguments.style, arguments.stylizers)
    figures = Figures(
        machine=describe_machine(),
        taken_at=datetime.now(UTC).date().isoformat(),
        style=arguments.style,
        stylizers=arguments.stylizers,
        inference_frames_per_second=bare,
        pipeline=whole,
        ratio=whole.frames_per_second / bare,
        media=[
            await asyncio.to_thread(media.measure, *case)
            for case in ((300, 640, 360), (150, 1280, 720))
        ],
    )
    print(json.dumps(asdict(figures)) if arguments.json else table(figures))
    if arguments.markdown:
        arguments.markdown.write_text(
            "# Performance\n\nMeasured by `stylestream bench --markdown docs/performance.md`.\n\n"
            + table(figures)
            + "\n",
            encoding="utf-8",
        )
    return 0
