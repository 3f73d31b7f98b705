"""Decides what decodes chunks: the processor, or a GPU's decoder that works as well.

A GPU is asked only where networks run on it or it is named: a painter on a processor takes so much
longer than its codecs that they do not matter.
"""

from __future__ import annotations

from typing import Final

import structlog

from shared.contracts.errors import ConfigurationError
from shared.contracts.messages import ChunkReady
from shared.media.chunks import Decoder
from shared.media.nvidia import NVDEC_SIZES
from shared.media.probes import find_nvdec_fault
from stylizer.settings import PaintingSettings, usable_cores

log = structlog.get_logger()

ENOUGH_CORES: Final = 8
"""With so many, decoding is done beside the GPU; copying pictures back from it would cost more."""


def choose_decoder(settings: PaintingSettings) -> Decoder:
    """Return what decodes chunks; "auto" is settled, what is named is never replaced.

    Raises:
        ConfigurationError: NVDEC is asked for and does not work here.
    """
    asked = settings.chunk_decoder
    if asked == "cpu" or (asked == "auto" and not _spares_cores(settings)):
        return "cpu"
    fault = find_nvdec_fault()
    if fault is None:
        return "cuda"
    if asked == "cuda":
        raise ConfigurationError([f"CHUNK_DECODER=cuda: {fault}; CHUNK_DECODER=cpu works anywhere"])
    log.info("chunks are decoded on the processor", cause=fault)
    return "cpu"


def decoder_of(event: ChunkReady, settings: PaintingSettings) -> Decoder:
    """Return what decodes a chunk: sizes that NVDEC does not take are the processor's."""
    takes = NVDEC_SIZES.takes(event.width, event.height)
    return "cuda" if settings.chunk_decoder == "cuda" and takes else "cpu"


def _spares_cores(settings: PaintingSettings) -> bool:
    return settings.on_gpu and usable_cores() < ENOUGH_CORES
