"""``stylestream styles`` and ``stylestream config``: the styles, and the settings in effect."""

from __future__ import annotations

import asyncio
import json
import sys
from argparse import Namespace

from cli.commands.common import refuse_needless
from local.defaults import gallery
from shared.contracts.errors import ConfigurationError
from shared.styles.gallery import Gallery
from shared.telemetry.escapes import escaped


async def styles(arguments: Namespace) -> int:
    """List the styles with their cards, check them, or show what they look like."""
    if arguments.sheet is not None:
        from cli.commands.preview import sheet

        return await sheet(arguments)
    of_sheets = {
        "-o/--output": arguments.output,
        "-f/--force": arguments.force,
        "--width": arguments.width,
        "--at": arguments.at,
        "--loop": arguments.loop,
        "--engine": arguments.engine,
    }
    refuse_needless(of_sheets, "needs --sheet")
    found = gallery()
    # On stderr, because they are not among the styles that programs read.
    for why in found.unlisted.values():
        print(f"stylestream: STYLES_DIR: {escaped(why)}", file=sys.stderr)
    if arguments.check:
        return await asyncio.to_thread(_check, found)
    for style in found.styles.values():
        card = style.card
        if arguments.json:
            print(json.dumps({"name": style.name, **card.model_dump()}, ensure_ascii=False))
        else:
            year = f", {card.year}" if card.year else ""
            print(f"{style.name:<16} {card.title}, {card.painter}{year}")
    return 0


def _check(found: Gallery) -> int:
    from stylizer.painting.checks import find_faults

    problems: list[str] = []
    for style in found.styles.values():
        faults = list(find_faults(style))
        if not faults:
            print(f"{style.name:<16} in order: {', '.join(style.precisions)}")
        problems += faults
    if problems:
        raise ConfigurationError(problems)
    return 0


async def config(arguments: Namespace) -> int:
    """Print the services' settings in effect in this environment, secrets masked."""
    # Imported late: listing styles does not need the services' settings.
    from assembler.settings import AssemblerSettings
    from shared.service.settings import ServiceSettings, describe, load
    from splitter.settings import SplitterSettings
    from stylizer.settings import StylizerSettings

    services: dict[str, type[ServiceSettings]] = {
        "splitter": SplitterSettings,
        "stylizer": StylizerSettings,
        "assembler": AssemblerSettings,
    }
    chosen = [arguments.service] if arguments.service else list(services)
    problems: list[str] = []
    for name in chosen:
        try:
            settings = load(services[name])
        except ConfigurationError as error:
            problems += [f"{name}: {problem}" for problem in error.problems]
            continue
        print(f"# {name}")
        for variable, value, meaning in describe(settings):
            print(f"{variable}={value}" + (f"  # {meaning}" if meaning else ""))
        print()
    if problems:
        raise ConfigurationError(problems)
    return 0
