"""Run an assembler: ``python -m assembler``, configured by environment variables."""

from __future__ import annotations

from stylestream import check_packages


def run() -> None:
    """Run the service to its end."""
    check_packages("shared", "assembler")
    from shared.service.loading import loading

    with loading():
        from assembler.metrics import AssemblerMetrics
        from assembler.service import build
        from assembler.settings import AssemblerSettings
        from shared.service.runtime import main

    main("assembler", AssemblerSettings, AssemblerMetrics, build)


run()
