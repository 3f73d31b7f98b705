"""From the frames that are shown to what there is to encode."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import av
import av.error

from shared.contracts.errors import SourceRefused
from splitter.media.chunking import ChunkBuilder, Step
from splitter.media.normalise import Normaliser


class Cutter:
    """Brings frames into one form, in their order, and hands them to a builder of chunks.

    ``end`` is asked after the last frame, and says when its display ends.
    """

    def __init__(
        self, normaliser: Normaliser, builder: ChunkBuilder, end: Callable[[], int]
    ) -> None:
        self._normaliser = normaliser
        self._builder = builder
        self._end = end

    def take(self, frame: av.VideoFrame) -> Iterator[Step]:
        """Take the next frame; yield what there is to encode.

        Raises:
            SourceRefused: FFmpeg cannot convert such pictures (``UNSUPPORTED_PICTURE``).
        """
        name = frame.format.name
        try:
            whole = list(self._normaliser.push(frame))
        except av.error.MemoryError:
            raise
        except av.error.FFmpegError as error:
            raise SourceRefused(
                "UNSUPPORTED_PICTURE",
                f"Pictures in the format {name} cannot be converted: convert the video to yuv420p.",
            ) from error
        for ready in whole:
            yield from self._builder.add(ready, ready.pts or 0)

    def finish(self) -> Iterator[Step]:
        """Yield what there is to encode after the last frame."""
        for ready in self._normaliser.flush():
            yield from self._builder.add(ready, ready.pts or 0)
        yield from self._builder.finish(self._end())
