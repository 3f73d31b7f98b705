"""Run an assembler: ``python -m assembler``, configured by environment variables."""

from __future__ import annotations

from assembler.service import build
from assembler.settings import AssemblerSettings
from shared.runtime import main

main("assembler", AssemblerSettings, build)
