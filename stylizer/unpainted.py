"""Makes the segment of a chunk that cannot be painted: its original frames at their times."""

from __future__ import annotations

from shared.media.chunks import ChunkWriter, Encoding, read_chunk
from shared.messages import ChunkReady


def pass_through(event: ChunkReady, mezzanine: bytes, encoding: Encoding) -> bytes:
    """Return a segment (MP4, one closed group of pictures) that shows the ``mezzanine``'s frames.

    Raises:
        ChunkError: the mezzanine is not what the event describes.
    """
    writer = ChunkWriter(
        encoding,
        width=event.width,
        height=event.height,
        time_base=event.time_base,
        sample_aspect_ratio=event.sample_aspect_ratio,
    )
    for frame in read_chunk(mezzanine, frames=event.chunk.frames):
        writer.write(frame)
    return writer.close(event.chunk.duration)
