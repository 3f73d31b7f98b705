"""The two ways to make a chunk's segment, the same in the service and in its isolated child."""

from __future__ import annotations

import functools

from shared.contracts.messages import ChunkReady
from shared.media.encodings import segment_encoding
from shared.styles.gallery import open_gallery
from stylizer.painting.chunk import paint_chunk
from stylizer.painting.engine import Engine, OnnxEngine
from stylizer.painting.precision import choose
from stylizer.settings import PaintingSettings


def open_engine(settings: PaintingSettings) -> OnnxEngine:
    """Open the engine that the settings ask for.

    Raises:
        ConfigurationError: the device or the styles cannot be had.
    """
    gallery = open_gallery(settings.styles_dir, settings.default_style)
    precision = choose(settings.precision, settings.engine, gallery, settings.default_style)
    return OnnxEngine(gallery, settings.engine, settings.gpu_mem_limit_mib, precision)


def paint(engine: Engine, event: ChunkReady, mezzanine: bytes, *, batch: int) -> bytes:
    """Return the segment of a chunk in the style that its event asks for; see `paint_chunk`."""
    return paint_chunk(
        event,
        mezzanine,
        functools.partial(engine.paint, event.style.style),
        batch=batch,
        encoding=segment_encoding(event.style, event.bit_depth),
    )


def pass_through(event: ChunkReady, mezzanine: bytes) -> bytes:
    """Return the segment of a chunk with its original frames: painted at no strength at all."""
    style = event.style.model_copy(update={"strength": 0.0})
    unpainted = event.model_copy(update={"style": style})
    encoding = segment_encoding(event.style, event.bit_depth)
    return paint_chunk(unpainted, mezzanine, lambda frames, _: frames, batch=1, encoding=encoding)
