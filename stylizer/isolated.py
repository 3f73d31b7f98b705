"""The child of `stylizer.isolation`: ``python -m stylizer.isolated WORK``, never run by hand.

When it is ready it says so in a line. Standard input then brings the chunk's event in a line of
JSON and the chunk; standard output takes a line of JSON, empty unless something is wrong with the
chunk, and the segment.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from collections.abc import Callable
from typing import cast

from shared.errors import PermanentError
from shared.messages import ChunkReady
from shared.settings import load
from stylizer.isolation import READY, Work
from stylizer.settings import StylizerSettings
from stylizer.unpainted import pass_through

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Make one segment."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # What a library prints must not get into the answer.
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    work = _prepared(cast("Work", sys.argv[1]))
    with answer:
        answer.write(READY)
        answer.flush()
        event, _, mezzanine = sys.stdin.buffer.read().partition(b"\n")
        try:
            segment = work(ChunkReady.model_validate_json(event), mezzanine)
        except PermanentError as error:
            words = {"code": error.code, "message": error.message}
            answer.write(json.dumps(words).encode() + b"\n")
        else:
            answer.write(b"{}\n" + segment)


def _prepared(work: Work) -> Callable[[ChunkReady, bytes], bytes]:
    settings = load(StylizerSettings)
    if work == "pass_through":
        return lambda event, mezzanine: pass_through(event, mezzanine, settings.encoding)
    # Painting needs far more than passing through does.
    from stylizer.painting import paint_chunk
    from stylizer.service import open_engine, painter

    engine = open_engine(settings)
    return lambda event, mezzanine: paint_chunk(
        event,
        mezzanine,
        painter(engine, event),
        batch=settings.batch_size,
        encoding=settings.encoding,
    )


if __name__ == "__main__":
    main()
