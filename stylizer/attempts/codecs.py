"""Chooses between the processor's codecs and a GPU's, at the start and for each chunk.

A GPU's codecs are considered only where networks run on it or the settings name them: painting on a
processor takes so much longer than its codecs that they do not matter.
"""

from __future__ import annotations

import hashlib
from contextlib import AbstractContextManager, nullcontext
from typing import Final, Literal, NamedTuple

import structlog

from shared.contracts.errors import ConfigurationError
from shared.contracts.messages import ChunkReady
from shared.media.chunks import Decoder
from shared.media.encodings import Encoding, nvenc_segment_encoding, segment_encoding
from shared.media.nvidia import NVDEC_SIZES, NVENC_TURNS
from shared.media.probes import find_nvdec_fault, find_nvenc_fault, parameter_sets
from shared.service.machine import usable_cores
from stylizer.settings import PaintingSettings

log = structlog.get_logger()

ENOUGH_CORES: Final = 8
"""With this many, the processor decodes: copying pictures back from the GPU would cost more."""

_ATTEMPTS_ON_GPU: Final = 2

Encoder = Literal["x264", "nvenc"]
"""The encoder of H.264 segments. For other codecs, and for what NVENC does not take, "x264" stands
for the processor's encoder."""


class Codecs(NamedTuple):
    """The decoder of one chunk and the encoder of its segment."""

    encoder: Encoder = "x264"
    decoder: Decoder = "cpu"

    def encoding(self, event: ChunkReady) -> Encoding:
        """Return how the segment of a chunk is encoded."""
        on_gpu = _on_nvenc(event) if self.encoder == "nvenc" else None
        return on_gpu or segment_encoding(event.style, event.bit_depth)

    def turn(self) -> AbstractContextManager[object]:
        """Return a context in which a chunk may be encoded, and which waits if too many are."""
        return NVENC_TURNS if self.encoder == "nvenc" else nullcontext()

    def mark(self, segment: bytes) -> str:
        """Return a mark that segments share if they can be joined; see `SegmentReady.encoder`."""
        if self.encoder == "x264":
            return ""
        return f"{self.encoder}-{hashlib.sha256(parameter_sets(segment)).hexdigest()[:16]}"


ON_PROCESSOR: Final = Codecs()


def choose_encoder(settings: PaintingSettings) -> Encoder:
    """Return the encoder of segments; "auto" is resolved, a named encoder is never replaced.

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
    """Return the decoder of chunks; "auto" is resolved, a named decoder is never replaced.

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
    """Return the codecs for an attempt at a chunk, given settled settings.

    Every attempt after the first decodes on the processor, because a chunk that a GPU's decoder
    rejects may be valid. From the third on, attempts encode there as well: if the job's segments
    then cannot be joined, part of it is painted again, which is better than failing.
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
