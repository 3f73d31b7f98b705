"""Every code that a failure may carry: in a job's record, in an announcement, as a metric's label.

Codes cross process boundaries: a splitter's code reaches the assembler in an event, a decoder's
comes through a pipe. A code is checked against this list before it becomes a metric label, so that
user input can never create new time series.

This is also the only place that says whether a failure is the user's mistake or the service's. A
user's mistake is reported to the user alone; alerts and service levels count only the service's.
"""

from __future__ import annotations

from typing import Final, Literal

Fault = Literal["user", "service"]
"""Whose mistake a failure is: the user's, who uploaded or sent something, or the pipeline's."""

OTHER: Final = "OTHER"
"""The metric label of every code that is not listed."""

USER_CODES: Final = frozenset(
    {
        # Requests, events and names that cannot be accepted.
        "BAD_MESSAGE",
        "BAD_REQUEST",
        "STORAGE_REFUSED",
        "UNKNOWN_STYLE",
        # Uploads that are not supported videos.
        "APPEND_BLOB",
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
        "TOO_DAMAGED",
        "TOO_LARGE",
        "TOO_LONG",
        "TOO_MANY_FRAMES",
        "UNSUPPORTED_CODEC",
        "UNSUPPORTED_PICTURE",
    }
)

SERVICE_CODES: Final = frozenset(
    {
        # Unforeseen: the log has the traceback.
        "ASSEMBLER_ERROR",
        "SPLITTER_ERROR",
        "SPLIT_ANEW",
        "SPLIT_POISONED",
        "UNFORESEEN",
        # An event of a newer release that never took it over.
        "NEWER_MESSAGE",
        # Styles that the operator offers.
        "NO_STYLE_NETWORK",
        "STYLE_CHANGED",
        "STYLE_UNREADABLE",
        # Chunks.
        "CHUNK_MISSING",
        "CHUNK_POISONED",
        "CORRUPT_CHUNK",
        "WRONG_TIMESTAMPS",
        # Segments and results.
        "ASSEMBLY_POISONED",
        "CONTRADICTING_SEGMENTS",
        "CORRUPT_MANIFEST",
        "CORRUPT_SEGMENT",
        "CORRUPT_RESULT",
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
)

FAILURE_CODES: Final = USER_CODES | SERVICE_CODES


def fault(code: str) -> Fault:
    """Return whose fault a code is; a code that is not listed is the service's."""
    return "user" if code in USER_CODES else "service"
