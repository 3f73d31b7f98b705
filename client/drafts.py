"""Files that take the place of others only when they are complete."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from shared.contracts.errors import StylestreamError

_ENDING: Final = ".part"
_MARK_BYTES: Final = 3

LONGEST_ENDING: Final = len(f".{'00' * _MARK_BYTES}{_ENDING}")
"""How much longer a file's name is while the file is being written."""


@contextmanager
def written_whole(path: Path, *, replace: bool = True) -> Iterator[Path]:
    """Yield a draft to write, which gets the name ``path`` once it is complete.

    Each writer has a draft of its own. Where it does not become complete, ``path`` stays as it was,
    and without ``replace`` also if there is such a file by then.

    Raises:
        StylestreamError: the file cannot be written, or must not be replaced.
    """
    draft = path.with_name(f"{path.name}.{secrets.token_hex(_MARK_BYTES)}{_ENDING}")
    try:
        yield draft
        if path.exists() and not replace:
            raise StylestreamError(f"{path} exists by now")
        draft.replace(path)
    except OSError as error:
        raise StylestreamError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        # Its folder may be gone, or on a disk that was removed.
        with suppress(OSError):
            draft.unlink()
