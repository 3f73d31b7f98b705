"""``stylestream preview`` and the sheet of ``stylestream styles``: look before painting a video."""

from __future__ import annotations

import asyncio
import functools
from argparse import Namespace
from pathlib import Path

import av

from cli.commands.common import find_engine_problems, find_request_problems, read_request, refuse
from cli.contact_sheet import Named, draw_sheet, save_sheet
from cli.pictures import read_picture
from cli.results import find_overwritten, find_unwritable, result_names
from cli.videos import find_unreadable
from local.defaults import DEFAULT_STYLE, gallery
from shared.contracts.style_blend import WHOLE
from shared.contracts.style_request import StyleRequest
from shared.service.settings import load
from shared.telemetry import logs
from stylizer.painting.chunk import paint_picture
from stylizer.painting.engine import OnnxEngine
from stylizer.painting.precision import EngineSetting, choose
from stylizer.settings import PaintingSettings, with_engine


async def preview(arguments: Namespace) -> int:
    """Write one picture of a video before and after, side by side."""
    problems = [*find_unreadable(arguments.video), *find_request_problems(arguments)]
    problems += find_engine_problems(arguments.engine)
    if problems and arguments.output is None:
        refuse(problems)
    output = arguments.output or _beside(arguments.video, _look(read_request(arguments)).slug)
    refuse(problems + _output_problems(output, arguments.video, force=arguments.force))
    request = read_request(arguments)
    logs.configure("WARNING", "console", "preview")
    source = await asyncio.to_thread(
        read_picture, arguments.video, at=arguments.at, max_side=request.max_side
    )
    after = (_title(request), await asyncio.to_thread(_paint, source, request, arguments.engine))
    return _write([("source", source), after], output, columns=2)


async def sheet(arguments: Namespace) -> int:
    """Write a picture painted in every style of the gallery."""
    picture: Path = arguments.sheet
    output = arguments.output or _beside(picture, "styles")
    problems = [*find_unreadable(picture), *find_engine_problems(arguments.engine)]
    refuse(problems + _output_problems(output, picture, force=arguments.force))
    logs.configure("WARNING", "console", "styles")
    source = await asyncio.to_thread(read_picture, picture, at=arguments.at, width=arguments.width)
    opened = await asyncio.to_thread(_engine, arguments.engine)
    pictures: list[Named] = [("source", source)]
    for style in gallery().styles:
        paint = functools.partial(opened.paint, style)
        request = StyleRequest(style=style)
        pictures.append((style, await asyncio.to_thread(paint_picture, source, paint, request)))
    return _write(pictures, output, columns=None)


def _paint(
    source: av.VideoFrame, request: StyleRequest, engine: EngineSetting | None
) -> av.VideoFrame:
    opened = _engine(engine)
    return paint_picture(source, functools.partial(opened.paint, request.style), request)


def _engine(asked: EngineSetting | None) -> OnnxEngine:
    """Open the engine for single pictures: in fp32, since starts are longer than paintings here."""
    settings = with_engine(load(PaintingSettings), asked)
    choice = choose(settings.engine, "fp32", gallery(), DEFAULT_STYLE, settings.gpu_mem_limit_mib)
    return OnnxEngine(gallery(), choice.device, settings.gpu_mem_limit_mib)


def _title(request: StyleRequest) -> str:
    portions = request.portions
    words = [style if len(portions) == 1 else f"{style} {share} %" for style, share in portions]
    if request.strength_percent != WHOLE:
        words.append(f"strength {request.strength_percent} %")
    if request.preserve_color:
        words.append("colours of the source")
    return ", ".join(words)


def _look(request: StyleRequest) -> StyleRequest:
    """Return a request without all that does not show in a single picture."""
    shown = request.model_dump(include={"style", "max_side", "strength", "preserve_color", "brush"})
    return StyleRequest(**shown)


def _beside(source: Path, what: str) -> Path:
    """Return the usual file for a picture of ``source``: in the current folder."""
    return Path(f"{result_names([source], what)[0]}.png")


def _output_problems(output: Path, source: Path, *, force: bool) -> list[str]:
    if output.suffix.lower() != ".png":
        return [f"-o {output}: the picture is a PNG, and its name must end in .png"]
    said = f"-o {output}"
    if overwritten := find_overwritten(said, [output], [source]):
        return overwritten
    if output.is_file() and not force:
        return [f"{output} exists: --force replaces it"]
    return find_unwritable(said, output)


def _write(pictures: list[Named], output: Path, columns: int | None) -> int:
    save_sheet(draw_sheet(pictures, columns), output)
    print(output)
    return 0
