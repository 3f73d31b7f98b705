"""Checks with pip-audit whether packages of the images or tests have known vulnerabilities.

If its database cannot be reached, pip-audit reports none and succeeds. So it is first asked about a
package with well-known vulnerabilities: if it misses those, the audit is reported as skipped. ::

    python -m deploy.supply.audit       # exit 1 if there is one
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from deploy.supply.locked import LAYERS, ROOT, path

PIP_AUDIT: Final = ROOT / ".venv-deploy/bin/pip-audit"
FAULTY: Final = "requests==2.5.0"
"""It has vulnerabilities that were published in 2018."""


def main() -> None:
    """Audit the canary, then the locked packages."""
    with tempfile.TemporaryDirectory() as folder:
        canary = Path(folder, "canary.txt")
        canary.write_text(f"{FAULTY}\n", encoding="utf-8")
        if not faults(ask("--no-deps", "--requirement", str(canary))):
            print(
                "audit: skipped, because the database of known faults cannot be reached from here"
            )
            return
    files = [argument for name in LAYERS for argument in ("--requirement", str(path(name)))]
    report = ask("--require-hashes", *files)
    if found := faults(report):
        sys.exit("audit: known faults:\n" + "\n".join(found))
    if left_out := not_audited(report):
        sys.exit("audit: not audited:\n" + "\n".join(left_out))
    print(f"audit: no fault is known in {len(report['dependencies'])} packages")


def ask(*arguments: str) -> dict[str, Any]:
    """Return pip-audit's report; one without packages if it failed."""
    done = subprocess.run(
        [str(PIP_AUDIT), "--disable-pip", "--progress-spinner=off", "--format=json", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        report: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        print(done.stderr.strip()[-500:], file=sys.stderr)
        report = {"dependencies": []}
    return report


def faults(report: dict[str, Any]) -> list[str]:
    """Return a line for each vulnerability."""
    return [
        f"{package['name']} {package['version']}: {fault['id']}, mended in "
        f"{', '.join(fault['fix_versions']) or 'no version yet'}"
        for package in report["dependencies"]
        for fault in package.get("vulns", ())
    ]


def not_audited(report: dict[str, Any]) -> list[str]:
    """Return a line for each package that is not in the database; one if there is no report."""
    if not report["dependencies"]:
        return ["pip-audit gave no report"]
    return [
        f"{package['name']}: {package['skip_reason']}"
        for package in report["dependencies"]
        if "skip_reason" in package
    ]


if __name__ == "__main__":
    main()
