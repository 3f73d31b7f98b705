"""``stylestream doctor``: checks a deployment, and says what is wrong and how to fix it."""

from __future__ import annotations

import json
from argparse import Namespace
from dataclasses import asdict

from client import diagnose, diagnose_rights


async def doctor(arguments: Namespace) -> int:
    """Print a line for each check; exit 1 if anything is wrong."""
    sound = True
    findings = (
        diagnose_rights(arguments.dir, arguments.rights_of)
        if arguments.rights_of
        else diagnose(arguments.dir)
    )
    async for finding in findings:
        sound = sound and finding.good
        if arguments.json:
            print(json.dumps({"good": finding.good, **asdict(finding)}))
        elif finding.good:
            print(f"ok       {finding.what}")
        else:
            print(f"problem  {finding.what}\n         {finding.remedy}")
    return 0 if sound else 1
