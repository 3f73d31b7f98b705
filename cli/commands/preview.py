"""``stylestream preview`` and the sheet of ``stylestream styles``: look before painting a video."""

from __future__ import annotations

import asyncio
import functools
from argparse import Namespace
from fractions import Fraction
from pathlib import Path

import av

from cli.commands.common import find_request_problems, read_request, refuse
from cli.contact_sheet import Named, draw_sheet, save_sheet
from cli.pictures import read_picture
from cli.results import find_overwritten, find_unwritable
from cli.videos import find_unreadable
from local.defaults import gallery
from shared.contracts.style_blend import WHOLE
from shared.contracts.style_request import StyleRequest
from shared.telemetry import logs
from stylizer.painting.chunk import paint_picture
from stylizer.painting.engine import OnnxEngine


async def preview(arguments: Namespace) -> int:
    """Write one picture of a video before and after, side by side."""
    problems = [*find_unreadable(arguments.video), *find_request_problems(arguments)]
    refuse(problems + _output_problems(arguments.output, arguments.video))
    request = read_request(arguments)
    logs.configure("WARNING", "console", "preview")
    source = await asyncio.to_thread(
        read_picture, arguments.video, at=arguments.at, max_side=request.max_side
    )
    after = (_title(request), await asyncio.to_thread(_paint, source, request))
    return _write([("source", source), after], arguments.output, columns=2)


async def sheet(picture: Path, at: Fraction | None, width: int, output: Path) -> int:
    """Write a picture painted in every style of the gallery."""
    refuse([*find_unreadable(picture), *_output_problems(output, picture)])
    logs.configure("WARNING", "console", "styles")
    source = await asyncio.to_thread(read_picture, picture, at=at, width=width)
    engine = OnnxEngine(gallery(), "cpu")
    pictures: list[Named] = [("source", source)]
    for style in gallery().styles:
        paint = functools.partial(engine.paint, style)
        request = StyleRequest(style=style)
        pictures.append((style, await asyncio.to_thread(paint_picture, source, paint, request)))
    return _write(pictures, output, columns=None)


def _paint(source: av.VideoFrame, request: StyleRequest) -> av.VideoFrame:
    engine = OnnxEngine(gallery(), "cpu")
    return paint_picture(source, functools.partial(engine.paint, request.style), request)


def _title(request: StyleRequest) -> str:
    portions = request.portions
    wishes = [style if len(portions) == 1 else f"{style} {share} %" for style, share in portions]
    if request.strength_percent != WHOLE:
        wishes.append(f"strength {request.strength_percent} %")
    if request.preserve_color:
        wishes.append("colours of the source")
    return ", ".join(wishes)


def _output_problems(output: Path, source: Path) -> list[str]:
    if output.suffix.lower() != ".png":
        return [f"-o {output}: the picture is a PNG, and its name must end in .png"]
    said = f"-o {output}"
    return find_overwritten(said, [output], [source]) or find_unwritable(said, output)


def _write(pictures: list[Named], output: Path, columns: int | None) -> int:
    save_sheet(draw_sheet(pictures, columns), output)
    print(output)
    return 0
