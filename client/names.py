"""Names of uploads: how a file's name becomes a blob's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Final

from shared.contracts.errors import ConfigurationError
from shared.contracts.layout import LONGEST_NAME

# Storage reads a backslash as a slash and drops a trailing dot; control characters, and bytes that
# are not UTF-8, cannot be in a URL. Each would give the upload a name other than its job's.
_UNSAFE: Final = re.compile(r"[\\\x00-\x1f\x7f\x80-\x9f\ud800-\udfff]|\.$")


def upload_name(file_name: str) -> str:
    r"""Return the name under which a file is uploaded: ``_`` replaces what storage would alter.

    >>> upload_name("back\\slash.mp4")
    'back_slash.mp4'
    """
    return _UNSAFE.sub("_", file_name)


def numbered(name: str) -> Iterator[str]:
    """Yield a name, and after it the same name with numbers, without end."""
    path = PurePosixPath(name)
    yield name
    number = 2
    while True:
        yield f"{path.stem}-{number}{path.suffix}"
        number += 1


def check_upload_name(name: str) -> None:
    """Return if an upload can be called ``name``, in which slashes separate folders.

    Raises:
        ConfigurationError: it cannot; the sentence says why.
    """
    if not name or name.startswith("/") or name.endswith("/") or "//" in name:
        raise ConfigurationError(
            [f"{name!r} cannot be an upload's name: a folder or file is empty"]
        )
    if _UNSAFE.search(name) or {".", ".."} & set(name.split("/")):
        raise ConfigurationError(
            [f"{name!r} cannot be an upload's name: storage would change it; try {_safe(name)!r}"]
        )
    if len(name) > LONGEST_NAME:
        raise ConfigurationError([f"an upload's name has at most {LONGEST_NAME} characters"])


def _safe(name: str) -> str:
    return "/".join(upload_name(part).strip(".") or "_" for part in name.split("/"))
