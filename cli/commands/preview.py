"""``stylestream preview`` and ``stylestream styles --sheet``: single pictures in styles."""

from __future__ import annotations

import asyncio
import threading
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cli.commands.common import find_engine_problems, find_request_problems, read_request, refuse
from cli.contact_sheet import draw_sheet, save_sheet
from cli.interruption import Stopped
from cli.loop import paint_loop, save_loop
from cli.pictures import Picture, read_picture
from cli.results import find_long_name, find_overwritten, find_unwritable, result_names
from cli.style_commands import SHEET_WIDTH
from cli.videos import find_unreadable
from local.defaults import DEFAULT_STYLE, gallery
from shared.contracts.style_blend import WHOLE, parse_blend
from shared.contracts.style_request import StyleRequest
from shared.service.settings import load
from shared.telemetry import logs
from stylizer.painting.chunk import paint_picture
from stylizer.painting.engine import CORNER, OnnxEngine
from stylizer.painting.frames import Canvas, Frames
from stylizer.painting.precision import EngineSetting, choose
from stylizer.settings import PaintingSettings, with_engine

Titled = tuple[str, StyleRequest]


async def preview(arguments: Namespace) -> int:
    """Write one frame of a video, or a loop, before and after painting, side by side."""
    problems = [*find_unreadable(arguments.video), *find_request_problems(arguments)]
    problems += find_engine_problems(arguments.engine)
    if problems and arguments.output is None:
        refuse(problems)
    output = arguments.output or _beside(arguments, _look(read_request(arguments)).slug)
    refuse(problems + _output_problems(output, arguments))
    request = _look(read_request(arguments))
    logs.configure("WARNING", "console", "preview")
    picture = await asyncio.to_thread(
        read_picture,
        arguments.video,
        at=arguments.at,
        moving=arguments.loop is not None,
        max_side=request.max_side,
    )
    title = _title(request if arguments.loop else request.at(picture.at))
    return await _write(arguments, picture, [(title, request)], output, 2)


async def sheet(arguments: Namespace) -> int:
    """Write a frame, or a loop, painted in every style of the gallery."""
    arguments.video = arguments.sheet
    output = arguments.output or _beside(arguments, "styles")
    problems = [*find_unreadable(arguments.video), *find_engine_problems(arguments.engine)]
    refuse(problems + _output_problems(output, arguments))
    logs.configure("WARNING", "console", "styles")
    width = arguments.width or SHEET_WIDTH
    moving = arguments.loop is not None
    picture = await asyncio.to_thread(
        read_picture, arguments.video, at=arguments.at, moving=moving, width=width
    )
    side = max(picture.frame.width, picture.frame.height)
    requests = [(style, StyleRequest(style=style, max_side=side)) for style in gallery().styles]
    return await _write(arguments, picture, requests, output, None)


async def _write(
    arguments: Namespace,
    picture: Picture,
    requests: Sequence[Titled],
    output: Path,
    columns: int | None,
) -> int:
    """Write the source, and the source painted for each request."""
    stopped = threading.Event()
    try:
        await asyncio.to_thread(_paint, arguments, picture, requests, output, columns, stopped)
    finally:
        stopped.set()
    print(output)
    return 0


def _paint(
    arguments: Namespace,
    picture: Picture,
    requests: Sequence[Titled],
    output: Path,
    columns: int | None,
    stopped: threading.Event,
) -> None:
    engine = _engine(arguments.engine, stopped)
    if arguments.loop:
        part = {"start": int(picture.at * 1000) / 1000, "duration": arguments.loop}
        moving = [(name, request.model_copy(update=part)) for name, request in requests]
        save_loop(paint_loop(arguments.video, moving, engine, columns), output)
    else:
        painted = [
            (
                name,
                paint_picture(picture.frame, engine.paint, request.at(picture.at), engine.layout),
            )
            for name, request in requests
        ]
        save_sheet(draw_sheet([("source", picture.frame), *painted], columns), output)


class _StoppableEngine(OnnxEngine):
    """An engine that raises `Stopped` once its command is interrupted."""

    def __init__(self, stopped: threading.Event, *options: Any) -> None:
        super().__init__(*options)
        self._stopped = stopped

    def paint(
        self, style: str, frames: Frames, canvas: Canvas = CORNER, *, passing: bool = False
    ) -> Frames:
        painted = super().paint(style, frames, canvas, passing=passing)
        if self._stopped.is_set():
            raise Stopped
        return painted


def _engine(asked: EngineSetting | None, stopped: threading.Event) -> OnnxEngine:
    """Open the engine in fp32, because for single pictures its start takes longer than painting."""
    settings = with_engine(load(PaintingSettings), asked)
    choice = choose(settings.engine, "fp32", gallery(), DEFAULT_STYLE, settings.gpu_mem_limit_mib)
    return _StoppableEngine(stopped, gallery(), choice.device, settings.gpu_mem_limit_mib)


def _title(request: StyleRequest) -> str:
    styles = [_named(blend) for blend in request.blends]
    words = [" > ".join(styles)]
    if request.strength_percent != WHOLE:
        words.append(f"strength {request.strength_percent} %")
    if request.preserve_color:
        words.append("colours of the source")
    return ", ".join(words)


def _named(blend: str) -> str:
    portions = parse_blend(blend)
    return ", ".join(
        style if len(portions) == 1 else f"{style} {share} %" for style, share in portions
    )


def _look(request: StyleRequest) -> StyleRequest:
    """Return a request without everything that does not affect a single picture."""
    shown = {"style", "fade", "max_side", "strength", "preserve_color", "brush"}
    return StyleRequest(**request.model_dump(include=shown))


def _beside(arguments: Namespace, what: str) -> Path:
    """Return the default file for a picture of a video, in the current folder."""
    return Path(f"{result_names([arguments.video], what)[0]}{_ending(arguments)}")


def _ending(arguments: Namespace) -> str:
    return ".webp" if arguments.loop else ".png"


def _output_problems(output: Path, arguments: Namespace) -> list[str]:
    ending = _ending(arguments)
    if output.suffix.lower() != ending:
        kind = "loop is a WebP" if arguments.loop else "picture is a PNG"
        return [f"-o {output}: the {kind}, and its name must end in {ending}"]
    said = f"-o {output}"
    if too_long := find_long_name(said, output):
        return too_long
    if overwritten := find_overwritten(said, [output], [arguments.video]):
        return overwritten
    if output.is_file() and not arguments.force:
        return [f"{output} exists: --force replaces it"]
    return find_unwritable(said, output)
