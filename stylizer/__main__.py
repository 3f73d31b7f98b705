"""Run a stylizer: ``python -m stylizer``, configured by environment variables."""

from __future__ import annotations

from stylestream import check_packages


def run() -> None:
    """Run the service to its end."""
    check_packages("shared", "stylizer")
    from shared.service.loading import loading

    with loading():
        from shared.service.runtime import main
        from stylizer.metrics import StylizerMetrics
        from stylizer.service import build
        from stylizer.settings import StylizerSettings

    main("stylizer", StylizerSettings, StylizerMetrics, build)


run()
