"""The command ``stylestream chaos``."""

from __future__ import annotations

import sys
from argparse import Namespace

from chaos.campaign import Findings, campaign
from chaos.report import page
from cli.commands.common import refuse
from cli.results import find_unwritable_file


async def chaos(arguments: Namespace) -> int:
    """Break stacks on purpose for some minutes; exit 1 if a promise did not hold."""

    def tell(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    refuse(find_unwritable_file(f"--report {arguments.report}", arguments.report))

    def note(findings: Findings) -> None:
        # Hours of findings outlive an end that nobody has foreseen.
        if arguments.report:
            arguments.report.write_text(page(findings), encoding="utf-8")

    findings = await campaign(arguments.minutes, arguments.seed, tell, arguments.logs, note)
    print(page(findings), flush=True)
    return int(bool(findings.violations))
