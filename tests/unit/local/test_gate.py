"""Services wait at the gate, loaded, until it opens."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from local.children import inherited
from local.gate import Gate

SERVICE = "print('loaded', flush=True)\n"
MAIN = "import sys\nprint('runs', __name__, sys.argv[1:], flush=True)\n"


def test_a_service_is_loaded_before_the_gate_opens_and_runs_after_it(tmp_path: Path) -> None:
    package = tmp_path / "waiting"
    package.mkdir()
    for name, code in (("__init__", ""), ("service", SERVICE), ("__main__", MAIN)):
        (package / f"{name}.py").write_text(code)
    gate = Gate(tmp_path)
    environment = inherited(tmp_path)
    environment["PYTHONPATH"] += f":{tmp_path}"

    def start() -> subprocess.Popen[str]:
        command = gate.before("waiting")
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)

    with start() as held:
        assert held.stdout is not None
        assert held.stdout.readline() == "loaded\n"
        assert held.poll() is None
        gate.open()
        assert held.stdout.read() == "runs __main__ []\n"
    # And the gate stays open for whoever is started again
    with start() as again:
        assert again.communicate()[0] == "loaded\nruns __main__ []\n"
    assert sys.executable in gate.before("waiting")
