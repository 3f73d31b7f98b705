"""Describes this machine, for tables of what was measured on it."""

from __future__ import annotations

import platform
import re

from shared.media.instructions import read_cpuinfo
from shared.service.machine import usable_cores


def describe_machine() -> str:
    """Describe the processor, its usable cores and its vector instructions."""
    text = read_cpuinfo()
    model = re.search(r"model name\s*: (.*)", text)
    vectors = "AVX-512" if "avx512f" in text else "AVX2" if "avx2" in text else "no AVX2"
    return f"{usable_cores()} cores of {model[1] if model else platform.machine()}, {vectors}"
