"""Which of the processor's vector instructions x264 uses."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

_CPUINFO: Final = Path("/proc/cpuinfo")
"""Linux's description of the processors."""

_WITH_AVX512: Final = frozenset({"avx2", "avx512f", "avx512bw"})
_LATER: Final = "avx512vbmi"
"""The next generation, and AMD's processors, have these instructions, too."""


def x264_instructions(cpuinfo: str) -> str:
    """Return x264's option ``asm`` for a processor that ``cpuinfo`` describes.

    Intel's first processors with AVX-512 (Skylake, Cascade Lake) lower their clock while they use
    it, for all that runs on the core. Without it x264 writes the same bytes in less time.
    """
    found = re.search(r"^flags\s*: (.*)$", cpuinfo, re.MULTILINE)
    flags = set(found[1].split()) if found else set()
    slows_down = flags >= _WITH_AVX512 and _LATER not in flags
    return "AVX2" if slows_down else "auto"


def read_cpuinfo() -> str:
    """Return what the system says about its processors; nothing where it is not Linux."""
    return _CPUINFO.read_text(encoding="utf-8") if _CPUINFO.exists() else ""
