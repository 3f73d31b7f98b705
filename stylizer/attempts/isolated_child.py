"""The child process that `stylizer.attempts.isolation` starts to make one segment.

Its arguments are the kind of work, the version of the styles that it has to paint in, the chunk's
length in bytes, and its name, for those who list processes.

Standard input carries the chunk's event as a line of JSON, followed by the chunk. When it has both,
and all that it paints with, the child writes a line, and waits for one before it begins. Standard
output then carries a line of JSON, an empty object unless something is wrong with the chunk,
followed by the segment.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import cast

from shared.contracts.errors import PermanentError, StyleError
from shared.contracts.messages import ChunkReady
from shared.forks.orphans import end_with_parent
from shared.service.settings import load
from shared.styles.gallery import STYLE_CHANGED
from stylizer.attempts.codecs import codecs_of
from stylizer.attempts.isolation import BEGIN, READY, Work
from stylizer.attempts.segments import open_engine, paint, pass_through, settle
from stylizer.settings import PaintingSettings


def main() -> None:
    """Make one segment."""
    end_with_parent()
    # Whatever libraries print must stay out of the answer.
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    settings = load(PaintingSettings)
    work = _prepared(cast("Work", sys.argv[1]), sys.argv[2], settings)
    given = sys.stdin.buffer
    event, mezzanine = given.readline(), given.read(int(sys.argv[3]))
    with answer:
        answer.write(READY)
        answer.flush()
        if given.readline() != BEGIN:
            return  # the service has ended
        try:
            segment = work(ChunkReady.model_validate_json(event), mezzanine)
        except PermanentError as error:
            words = {"code": error.code, "message": error.message}
            answer.write(json.dumps(words).encode() + b"\n")
        else:
            answer.write(b"{}\n" + segment)


def _prepared(
    work: Work, styles: str, settings: PaintingSettings
) -> Callable[[ChunkReady, bytes], bytes]:
    if work == "pass_through":
        return lambda event, mezzanine: pass_through(event, mezzanine, codecs_of(event, settings))
    settings = settle(settings)
    engine = open_engine(settings)

    def paint_in_version(event: ChunkReady, mezzanine: bytes) -> bytes:
        if engine.version(event.style) != styles:
            raise StyleError(STYLE_CHANGED, f"the version of the style is not {styles}")
        batch = settings.batch_size(event.width, event.height)
        codecs = codecs_of(event, settings)
        return paint(engine, event, mezzanine, batch=batch, codecs=codecs)

    return paint_in_version


if __name__ == "__main__":
    main()
