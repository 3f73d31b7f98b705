"""The protocol between the splitter and its decoding child.

Two channels, both with fixed binary headers in network byte order:

- A socket, the child's standard input. The parent first sends the job (length, JSON); from then on
  the child requests blocks of the upload (offset, length) and gets each (length, bytes).
- A pipe, the child's standard output, with messages: length of a JSON header, length of a payload,
  the header, the payload.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Final, Literal

from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from shared.contracts.manifest import Chunk, Source
from splitter.media.chunking import EncodedChunk
from splitter.media.split import SplitEnd, SplitEvent, SplitOptions
from splitter.protection import Layer

Work = Literal[b"d", b"t"]
"""What a child is for: to decode one upload, or to test whether the sandbox holds."""

DECODE: Final = b"d"
TRIAL: Final = b"t"

LENGTH = struct.Struct("!I")
RANGE = struct.Struct("!QI")
MESSAGE = struct.Struct("!II")

BLOCK_BYTES = 1024 * 1024
"""The largest part of the upload that is requested at once."""

MAX_HEADER = 256 * 1024
MAX_PAYLOAD = 512 * 1024 * 1024
"""A message that claims more than this is garbage."""


class GarbageError(Exception):
    """The child broke the protocol."""


@dataclass(frozen=True, slots=True)
class Job:
    """What the child is to do."""

    size: int
    options: SplitOptions
    side_path: Path
    """Where the child writes the tracks, in an existing folder of its own."""
    threads: int = 1
    """How many threads split it."""
    required: frozenset[Layer] = frozenset()
    """The layers of the sandbox without which it must not decode."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The child's last message if it gives up: a code and a sentence."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class _Header:
    """What a message is: one of these."""

    source: Source | None = None
    chunk: Chunk | None = None
    end: SplitEnd | None = None
    refusal: Refusal | None = None


_JOB = TypeAdapter(Job)
_HEADER = TypeAdapter(_Header)


def encode_job(job: Job) -> bytes:
    """Encode the job that the parent sends first."""
    body = _JOB.dump_json(job)
    return LENGTH.pack(len(body)) + body


def decode_job(body: bytes) -> Job:
    """Decode a job's body, without its length."""
    return _JOB.validate_json(body)


def encode_message(event: SplitEvent | Refusal) -> bytes:
    """Encode one event as a message of the result pipe."""
    payload = b""
    match event:
        case Source():
            header = _Header(source=event)
        case EncodedChunk(chunk=chunk, data=data):
            header, payload = _Header(chunk=chunk), data
        case SplitEnd():
            header = _Header(end=event)
        case Refusal():
            header = _Header(refusal=event)
    body = _HEADER.dump_json(header, exclude_none=True)
    return MESSAGE.pack(len(body), len(payload)) + body + payload


def decode_message(body: bytes, payload: bytes) -> SplitEvent | Refusal:
    """Decode a message; raise `GarbageError` if it is malformed."""
    try:
        header = _HEADER.validate_json(body)
    except ValidationError as error:
        raise GarbageError("a message of the decoder cannot be read") from error
    if header.chunk is not None:
        return EncodedChunk(header.chunk, payload)
    event = header.source or header.end or header.refusal
    if event is None:
        raise GarbageError("a message of the decoder is empty")
    return event
