"""The command ``stylestream chaos``."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence

from chaos.campaign import Findings, campaign
from chaos.plan import KINDS
from chaos.report import page
from cli.commands.common import refuse
from cli.results import find_unwritable_file


async def chaos(arguments: Namespace) -> int:
    """Break stacks on purpose for some minutes; exit 1 if a promise was broken."""

    def tell(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    refuse(find_unwritable_file(f"--report {arguments.report}", arguments.report))

    def note(findings: Findings) -> None:
        # Hours of findings must survive an unforeseen end.
        if arguments.report:
            arguments.report.write_text(page(findings), encoding="utf-8")

    only = [kind for kind in KINDS if kind in arguments.only]
    refuse(_find_unknown(arguments.only))
    findings = await campaign(
        arguments.minutes, arguments.seed, tell, arguments.logs, note, only=only
    )
    print(page(findings), flush=True)
    return int(bool(findings.violations))


def _find_unknown(kinds: Sequence[str]) -> list[str]:
    """Return a sentence for each of ``kinds`` that is not a fault."""
    there = ", ".join(KINDS)
    return [
        f"--only {kind}: no such fault; there are: {there}" for kind in kinds if kind not in KINDS
    ]
