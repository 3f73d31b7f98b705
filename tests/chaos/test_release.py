"""Which code services start with while a release is rolled out, and what it may write."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

from histories import JOB, MANIFEST, also, call, good

from chaos.promises import check
from chaos.release import Release
from chaos.settings import OTHER_SETTINGS
from local.children import python
from local.gate import Gate
from local.processes import Command, Supervised
from local.readiness import LineReady


def test_a_release_is_started_in_the_place_of_the_usual_one_and_taken_back(tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    gate.open()
    usual = Command(
        "splitter", gate.before("splitter"), {"SPLITS": "1"}, tmp_path / "log", LineReady("ready")
    )
    process, release = Supervised(usual), Release()
    release.other_settings, release.newer, release.styles = True, True, tmp_path
    release.clocks["splitter"] = {"FAKETIME": "+9s"}
    release.apply(process)
    assert process.command.argv == python("chaos.newer", "splitter")
    assert process.command.environment == {
        **OTHER_SETTINGS,
        "STYLES_DIR": str(tmp_path),
        "FAKETIME": "+9s",
    }
    release.other_settings, release.newer, release.styles = False, False, None
    del release.clocks["splitter"]
    release.apply(process)
    assert process.command == usual


def written_again(manifest: bytes) -> set[str]:
    """Return the promises that are broken if another splitter wrote a job's manifest like this."""
    again = call(
        "write",
        "frames",
        f"{JOB}/manifest.json",
        3.3,
        body=manifest,
        sha256=sha256(manifest).hexdigest(),
        status=409,
    )
    return {violation.promise for violation in check(also(good(), again))}


def test_a_later_version_may_add_to_a_manifest_and_nobody_may_change_it() -> None:
    more = json.loads(MANIFEST.to_json()) | {"since_a_later_version": 1}
    assert written_again(json.dumps(more).encode()) == set()
    assert "I2" in written_again(json.dumps(more | {"warnings": ["another"]}).encode())
