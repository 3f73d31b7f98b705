"""Describes this machine, for tables of what was measured on it."""

from __future__ import annotations

import platform
import re
from pathlib import Path

from shared.service.machine import usable_cores


def describe_machine() -> str:
    """Describe the processor, its usable cores and its vector instructions."""
    cpuinfo = Path("/proc/cpuinfo")
    text = cpuinfo.read_text() if cpuinfo.exists() else ""
    model = re.search(r"model name\s*: (.*)", text)
    vectors = "AVX-512" if "avx512f" in text else "AVX2" if "avx2" in text else "no AVX2"
    return f"{usable_cores()} cores of {model[1] if model else platform.machine()}, {vectors}"
