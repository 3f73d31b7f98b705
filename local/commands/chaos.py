"""The command ``stylestream chaos``."""

from __future__ import annotations

import sys
from argparse import Namespace

from local.chaos.campaign import campaign
from local.chaos.report import page


async def chaos(arguments: Namespace) -> int:
    """Break stacks on purpose for some minutes; exit 1 if a promise did not hold."""

    def tell(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    findings = await campaign(arguments.minutes, arguments.seed, tell, arguments.logs)
    text = page(findings)
    if arguments.report:
        arguments.report.write_text(text, encoding="utf-8")
    print(text)
    return int(bool(findings.violations))
