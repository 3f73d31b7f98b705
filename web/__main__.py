"""Run the studio: ``python -m web``, configured by environment variables."""

from __future__ import annotations

from stylestream import check_packages


def run() -> None:
    """Run the service to its end."""
    check_packages("shared", "client", "stylizer", "web")
    from shared.service.loading import loading

    with loading():
        from web.service import main

    main()


run()
