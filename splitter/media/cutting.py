"""Turn the frames that are shown into encoding steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import av
import av.error

from shared.contracts.errors import SourceRefused
from splitter.media.chunking import ChunkBuilder, Step
from splitter.media.normalise import Normaliser


class Cutter:
    """Normalises frames, in order, and passes them to a chunk builder.

    ``end`` is called after the last frame and returns when its display ends.
    """

    def __init__(
        self, normaliser: Normaliser, builder: ChunkBuilder, end: Callable[[], int]
    ) -> None:
        self._normaliser = normaliser
        self._builder = builder
        self._end = end

    def take(self, frame: av.VideoFrame) -> Iterator[Step]:
        """Take the next frame; yield the steps that it leads to.

        Raises:
            SourceRefused: FFmpeg cannot convert pictures of its format (``UNSUPPORTED_PICTURE``).
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
        """Yield the steps that remain after the last frame."""
        for ready in self._normaliser.flush():
            yield from self._builder.add(ready, ready.pts or 0)
        yield from self._builder.finish(self._end())
