"""Every code that a failure may carry: in a job's record, in an announcement, as a metric's label.

Codes travel: a splitter's code reaches the assembler in an event, a decoder's in a pipe. Whoever
makes a label of one asks here first, so that no stranger's text can make new time series.
"""

from __future__ import annotations

from typing import Final

OTHER: Final = "OTHER"
"""Stands in metrics for every code that is not listed."""

_EVENTS = {"BAD_MESSAGE", "STORAGE_REFUSED", "UNFORESEEN"}

_REQUESTS = {
    "BAD_REQUEST",
    "NO_STYLE_NETWORK",
    "STYLE_CHANGED",
    "STYLE_UNREADABLE",
    "UNKNOWN_STYLE",
}

_SOURCES = {
    "BAD_RESOLUTION",
    "BAD_TIMESTAMPS",
    "DECODER_CRASHED",
    "DECODER_FAILED",
    "DECODER_OUT_OF_MEMORY",
    "DECODER_OUT_OF_TIME",
    "DECODER_STALLED",
    "EMPTY_FILE",
    "ENCRYPTED",
    "INVALID_MEDIA",
    "NOTHING_TO_PAINT",
    "NOT_A_VIDEO",
    "NO_VIDEO_STREAM",
    "RATE_TOO_HIGH",
    "SOURCE_CHANGED",
    "SPLITTER_ERROR",
    "SPLIT_POISONED",
    "TOO_DAMAGED",
    "TOO_LARGE",
    "TOO_LONG",
    "TOO_MANY_FRAMES",
    "UNSUPPORTED_CODEC",
    "UNSUPPORTED_PICTURE",
}

_CHUNKS = {
    "CHUNK_MISSING",
    "CHUNK_POISONED",
    "CORRUPT_CHUNK",
    "STYLIZER_ERROR",
    "WRONG_TIMESTAMPS",
}

_RESULTS = {
    "ASSEMBLER_ERROR",
    "ASSEMBLY_POISONED",
    "CONTRADICTING_SEGMENTS",
    "CORRUPT_MANIFEST",
    "CORRUPT_SEGMENT",
    "CORRUPT_SIDE",
    "FRAME_COUNT",
    "FRAME_TIME",
    "MANIFEST_MISSING",
    "MANIFEST_UNREADABLE",
    "MIXED_SEGMENTS",
    "NOT_A_KEYFRAME",
    "NO_SPACE",
    "RECORD_UNREADABLE",
    "RESULT_NAME_TAKEN",
    "SEGMENT_COUNT",
    "SEGMENT_MISSING",
    "SIDE_MISSING",
    "STALLED",
    "TRACK_COUNT",
    "TRACK_DATA",
    "TRACK_TIME",
    "UNREADABLE",
}

FAILURE_CODES: Final = frozenset(_EVENTS | _REQUESTS | _SOURCES | _CHUNKS | _RESULTS)
