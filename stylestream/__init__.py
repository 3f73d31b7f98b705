"""The application stylestream: where it begins, and how it tells its packages from others.

It is an application, not a library: the packages beside this one (``shared``, ``client``, ``cli``,
the services) have names that other programs may use as well, so nothing but this project imports
them. Other programs use the HTTP API.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]


def check_packages(*names: str) -> None:
    """Exit with code 2 and a sentence if a package of ours is hidden by another of its name."""
    for name in names:
        spec = importlib.util.find_spec(name)
        if spec is None:
            sys.exit(_refuse(f"the package {name!r} is missing: install stylestream again"))
        found = Path(spec.origin or next(iter(spec.submodule_search_locations or ["?"]))).resolve()
        if _ROOT not in found.parents:
            folder = found.parent if spec.submodule_search_locations else found
            sys.exit(
                _refuse(
                    f"another package called {name!r} hides ours: {folder}; start from another "
                    "folder, or take it off PYTHONPATH"
                )
            )


def _refuse(sentence: str) -> int:
    print(f"stylestream: {sentence}", file=sys.stderr)
    return 2
