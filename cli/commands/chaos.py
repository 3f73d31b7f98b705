"""The command ``stylestream chaos``."""

from __future__ import annotations

import sys
from argparse import Namespace

from chaos.campaign import campaign
from chaos.report import page
from cli.commands.common import refuse
from cli.results import find_unwritable_file


async def chaos(arguments: Namespace) -> int:
    """Break stacks on purpose for some minutes; exit 1 if a promise did not hold."""

    def tell(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    refuse(find_unwritable_file(f"--report {arguments.report}", arguments.report))
    findings = await campaign(arguments.minutes, arguments.seed, tell, arguments.logs)
    text = page(findings)
    # Hours of findings reach the terminal, whatever has become of the file's place meanwhile.
    print(text, flush=True)
    if arguments.report:
        arguments.report.write_text(text, encoding="utf-8")
    return int(bool(findings.violations))
