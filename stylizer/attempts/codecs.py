"""Decides which codecs a stylizer uses, the processor's or a GPU's, at its start and for a chunk.

A GPU is asked only where networks run on it or where it is named: a painter on a processor takes so
much longer than its codecs that they do not matter.
"""

from __future__ import annotations

import hashlib
from typing import Final, Literal, NamedTuple

import structlog

from shared.contracts.errors import ConfigurationError
from shared.contracts.messages import ChunkReady
from shared.media.chunks import Decoder
from shared.media.encodings import Encoding, nvenc_segment_encoding, segment_encoding
from shared.media.nvidia import NVDEC_SIZES
from shared.media.probes import find_nvdec_fault, find_nvenc_fault, parameter_sets
from shared.service.machine import usable_cores
from stylizer.settings import PaintingSettings

log = structlog.get_logger()

ENOUGH_CORES: Final = 8
"""With so many, decoding is done beside the GPU; copying pictures back from it would cost more."""

_ATTEMPTS_ON_GPU: Final = 2

Encoder = Literal["x264", "nvenc"]
"""What encodes segments in H.264; for other codecs, and for what NVENC does not take, "x264" stands
for the processor's encoder."""


class Codecs(NamedTuple):
    """What decodes one chunk and encodes its segment."""

    encoder: Encoder = "x264"
    decoder: Decoder = "cpu"

    def encoding(self, event: ChunkReady) -> Encoding:
        """Return how the segment of a chunk is encoded."""
        on_gpu = _on_nvenc(event) if self.encoder == "nvenc" else None
        return on_gpu or segment_encoding(event.style, event.bit_depth)

    def mark(self, segment: bytes) -> str:
        """Return what segments have in common that can be joined; see `SegmentReady.encoder`."""
        if self.encoder == "x264":
            return ""
        return f"{self.encoder}-{hashlib.sha256(parameter_sets(segment)).hexdigest()[:16]}"


ON_PROCESSOR: Final = Codecs()


def choose_encoder(settings: PaintingSettings) -> Encoder:
    """Return what encodes segments; "auto" is settled, what is named is never replaced.

    Raises:
        ConfigurationError: NVENC is asked for and does not work here.
    """
    asked = settings.segment_encoder
    if asked == "x264" or (asked == "auto" and not settings.on_gpu):
        return "x264"
    fault = find_nvenc_fault()
    if fault is None:
        return "nvenc"
    if asked == "nvenc":
        remedy = "SEGMENT_ENCODER=x264 works anywhere"
        raise ConfigurationError([f"SEGMENT_ENCODER=nvenc: {fault}; {remedy}"])
    log.info("segments are encoded on the processor", cause=fault)
    return "x264"


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


def codecs_of(event: ChunkReady, settings: PaintingSettings, attempt: int = 1) -> Codecs:
    """Return the codecs for an attempt at a chunk, by settled settings.

    Every attempt after the first decodes on the processor, for what a GPU's decoder did not take
    may be right. From the third on it encodes there as well: a job whose segments are then not
    alike is painted again in part, which is better than to fail.
    """
    encodes = settings.segment_encoder == "nvenc" and attempt <= _ATTEMPTS_ON_GPU
    decodes = settings.chunk_decoder == "cuda" and attempt == 1
    return Codecs(
        "nvenc" if encodes and not event.on_processor and _on_nvenc(event) else "x264",
        "cuda" if decodes and NVDEC_SIZES.takes(event.width, event.height) else "cpu",
    )


def _on_nvenc(event: ChunkReady) -> Encoding | None:
    return nvenc_segment_encoding(event.style, event.width, event.height)


def _spares_cores(settings: PaintingSettings) -> bool:
    return settings.on_gpu and usable_cores() < ENOUGH_CORES
