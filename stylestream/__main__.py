"""Run the command line: ``stylestream``, or ``python -m stylestream``."""

from __future__ import annotations

from typing import NoReturn

from stylestream import check_packages


def main() -> NoReturn:
    """Run the command line and exit."""
    check_packages("shared", "client", "local", "cli", "splitter", "stylizer", "assembler")
    from cli.interruption import leave_when_interrupted

    leave_when_interrupted()
    from shared.service.loading import loading

    with loading():
        from cli.main import main as run

    run()


if __name__ == "__main__":
    main()
