"""Run an exporter: ``python -m exporter``, configured by environment variables."""

from __future__ import annotations

from stylestream import check_packages


def run() -> None:
    """Run the exporter to its end."""
    check_packages("shared", "exporter")
    from shared.service.loading import loading

    with loading():
        from exporter.service import main

    main()


run()
