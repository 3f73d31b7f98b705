"""Files that take the place of others only when they are complete."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from shared.contracts.errors import StylestreamError

DRAFT_ENDING: Final = ".part"
"""What the name of a file that is being written has more than that of the complete one."""


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield a draft to write, which takes the place of ``path`` once it is complete.

    Where it does not become complete, ``path`` stays as it was.

    Raises:
        StylestreamError: the file cannot be written.
    """
    draft = path.with_name(f"{path.name}{DRAFT_ENDING}")
    try:
        yield draft
        draft.replace(path)
    except OSError as error:
        raise StylestreamError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        draft.unlink(missing_ok=True)
