"""Which code services start with while a release is rolled out, and after it is rolled back."""

from __future__ import annotations

from pathlib import Path

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
