"""Run a splitter: ``python -m splitter``, configured by environment variables."""

from __future__ import annotations

from stylestream import check_packages


def run() -> None:
    """Run the service to its end."""
    check_packages("shared", "splitter")
    from shared.service.loading import loading

    with loading():
        from shared.service.runtime import main
        from splitter.decoder.process import deny_inspection
        from splitter.metrics import SplitterMetrics
        from splitter.service import build
        from splitter.settings import SplitterSettings

    deny_inspection()
    main("splitter", SplitterSettings, SplitterMetrics, build)


run()
