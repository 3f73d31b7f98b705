"""What a measured job cost is told without what measuring it costs."""

from __future__ import annotations

STAY = "import time; print('ready now', flush=True); time.sleep(600)"
SAMPLING_S = 0.2
