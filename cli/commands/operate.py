"""``stylestream cancel`` and ``dead-letters``: commands for jobs in trouble."""

from __future__ import annotations

import json
import sys
from argparse import Namespace

from cli.commands.common import try_each
from client import Letter, open_dead_letters, open_pipeline
from shared.contracts.errors import ConfigurationError
from shared.telemetry.escapes import escaped, escaped_json


async def cancel(arguments: Namespace) -> int:
    """Cancel a job; services stop working on it within seconds, and delete its intermediates."""
    async with open_pipeline(arguments.dir) as pipeline:
        status = await pipeline.cancel(arguments.job)
    print(f"{status.job_id}  {escaped(status.video_name)}: cancelled")
    return 0


async def dead_letters(arguments: Namespace) -> int:
    """List the dead letters, or send some of them again."""
    async with open_dead_letters(arguments.dir) as letters:
        found = [letter async for letter in letters.all()]
        for name in letters.unreadable:
            said = f"dead-letters/{name} is not a dead letter: delete it"
            print(f"stylestream: {escaped(said)}", file=sys.stderr)
        code = int(bool(letters.unreadable))
        if not arguments.redrive:
            for letter in found:
                print(_line(letter, as_json=arguments.json))
            return code
        chosen = _chosen(found, arguments.redrive)
        sent = await try_each(
            letters.redrive, chosen, lambda letter: f"{escaped(letter.name)}: sent again"
        )
        return sent or code


def _chosen(found: list[Letter], names: list[str]) -> list[Letter]:
    if names == ["all"]:
        return found
    by_name = {letter.name: letter for letter in found}
    if missing := [name for name in names if name not in by_name]:
        raise ConfigurationError([f"there is no dead letter {name!r}" for name in missing])
    return [by_name[name] for name in names]


def _line(letter: Letter, *, as_json: bool) -> str:
    content = letter.content
    if as_json:
        line = json.dumps({"name": letter.name, **content.model_dump()}, ensure_ascii=False)
        return escaped_json(line)
    times = "1 attempt" if content.attempts == 1 else f"{content.attempts} attempts"
    return escaped(f"{letter.name}  {content.buried_at}  {content.code}, {times}: {content.cause}")
