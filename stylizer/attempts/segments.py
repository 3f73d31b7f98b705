"""The two ways to make a chunk's segment, the same in the service and in its isolated child.

A service decides once, with `settle`, what it runs on, and passes the decision to its children.
"""

from __future__ import annotations

import traceback
from typing import TypeVar

import structlog

from shared.contracts.errors import ChunkError
from shared.contracts.messages import ChunkReady
from shared.styles.gallery import open_gallery
from shared.telemetry.logs import ENGINE_CHOSEN
from stylizer.attempts.codecs import ON_PROCESSOR, Codecs, choose_decoder, choose_encoder
from stylizer.attempts.isolation import AttemptFailed
from stylizer.painting.chunk import paint_chunk
from stylizer.painting.engine import Engine, OnnxEngine
from stylizer.painting.frames import Canvas, Frames
from stylizer.painting.precision import choose
from stylizer.settings import PaintingSettings

log = structlog.get_logger()

Settings = TypeVar("Settings", bound=PaintingSettings)


def settle(settings: Settings) -> Settings:
    """Return the settings with every "auto" replaced by the best that this machine can do.

    Raises:
        ConfigurationError: something that the settings name is not available.
    """
    gallery = open_gallery(settings.styles_dir, settings.default_style)
    device, precision, passed_over = choose(
        settings.engine,
        settings.precision,
        gallery,
        settings.default_style,
        settings.gpu_mem_limit_mib,
    )
    log.info(ENGINE_CHOSEN, device=device, precision=precision, passed_over=list(passed_over))
    settled = settings.model_copy(update={"engine": device, "precision": precision})
    codecs = {
        "segment_encoder": choose_encoder(settled),
        "chunk_decoder": choose_decoder(settled),
    }
    log.info("codecs chosen", **codecs)
    return settled.model_copy(update=codecs)


def open_engine(settings: PaintingSettings) -> OnnxEngine:
    """Open the engine that settled settings name.

    Raises:
        ConfigurationError: the device or the styles are not available.
    """
    gallery = open_gallery(settings.styles_dir, settings.default_style)
    if settings.engine == "auto" or settings.precision == "auto":
        raise ValueError("an engine is opened with what `settle` returns")
    return OnnxEngine(gallery, settings.engine, settings.gpu_mem_limit_mib, settings.precision)


def paint(
    engine: Engine,
    event: ChunkReady,
    mezzanine: bytes,
    *,
    batch: int,
    codecs: Codecs = ON_PROCESSOR,
) -> bytes:
    """Return the segment of a chunk in the styles that its event asks for; see `paint_chunk`.

    Raises:
        AttemptFailed: a GPU's decoder rejects the chunk, which the processor's may still accept.
    """
    try:
        with codecs.turn():
            return paint_chunk(
                event,
                mezzanine,
                engine.paint,
                batch=batch,
                encoding=codecs.encoding(event),
                decoder=codecs.decoder,
                layout=engine.layout,
            )
    except Exception as error:
        # A failure is kept while the chunk is tried again, and would keep open what its traceback
        # refers to: codecs of the GPU, whose number is limited, and buffers.
        traceback.clear_frames(error.__traceback__)
        if isinstance(error, ChunkError) and codecs.decoder != "cpu":
            raise AttemptFailed(f"decoded on the GPU: {error.message}") from error
        raise


def pass_through(event: ChunkReady, mezzanine: bytes, codecs: Codecs = ON_PROCESSOR) -> bytes:
    """Return the segment of a chunk with its original frames, that is, painted at strength 0."""
    style = event.style.model_copy(update={"strength": 0.0})
    unpainted = event.model_copy(update={"style": style})
    encoding = codecs.encoding(event)
    with codecs.turn():
        return paint_chunk(unpainted, mezzanine, _unchanged, batch=1, encoding=encoding)


def _unchanged(_style: str, frames: Frames, _canvas: Canvas, *, passing: bool) -> Frames:  # noqa: ARG001
    return frames
