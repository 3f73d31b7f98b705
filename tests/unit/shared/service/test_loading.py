"""What a process has loaded is not looked through for garbage, and what it makes later is."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import gc
import weakref
from shared.service.loading import loading

class Loaded:
    def __init__(self):
        self.itself = self

loaded = weakref.ref(Loaded())
with loading():
    assert not gc.isenabled()
assert gc.isenabled()
later = weakref.ref(Loaded())
gc.collect()
print(loaded() is not None, later() is None)
"""


def test_only_what_is_made_after_loading_is_collected() -> None:
    # In a process of its own, because nothing that is here now would ever be collected.
    ran = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["True", "True"]
