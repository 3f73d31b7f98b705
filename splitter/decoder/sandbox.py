"""The decoding child; started by `splitter.decoder.forks`, not by hand.

An upload is hostile until it has been decoded, and decoders are large pieces of C. They run here,
in a process that holds no credentials, shares no memory with the splitter, is confined to what
decoding needs (`splitter.decoder.confinement`), and can be killed without loss when it misbehaves.
It is a fork of one process that has imported this module (`shared.forks.server`).
"""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
import traceback
from collections.abc import Iterator
from typing import BinaryIO, cast

import av.error

# PyAV imports these only when a video needs them, and a confined process no longer can.
import av.subtitles.codeccontext
import av.subtitles.stream
import av.subtitles.subtitle

from shared.contracts.errors import SourceRefused
from shared.forks.server import wait_for_work
from shared.media.containers import is_full
from splitter.decoder import trial
from splitter.decoder.confinement import confine
from splitter.decoder.ranges import RangeFile, receive
from splitter.decoder.wire import LENGTH, TRIAL, Job, Refusal, decode_job, encode_message
from splitter.media.crew import Crew
from splitter.media.split import SplitEvent, split

_NICENESS = 10


def main() -> None:
    """Fork for each request, and do the requested work in the fork."""
    if wait_for_work() == TRIAL:
        trial.main()
    else:
        decode()


def decode() -> None:
    """Do one job: standard input is the socket to the parent, standard output the result pipe."""
    connection = socket.socket(fileno=os.dup(0))
    with _claimed_output() as output:
        (length,) = LENGTH.unpack(receive(connection, LENGTH.size))
        job = decode_job(receive(connection, length))
        # If one machine runs all services, painting and assembly go before new frames.
        os.nice(_NICENESS)
        tempfile.tempdir = str(job.side_path.parent)
        crew = Crew(job.threads)
        confine(job.options.limits, job.side_path.parent, job.required, start_threads=crew.start)
        for event in _events(job, connection, crew):
            output.write(encode_message(event))
            output.flush()


def _events(job: Job, connection: socket.socket, crew: Crew) -> Iterator[SplitEvent | Refusal]:
    file = cast("BinaryIO", RangeFile(connection, job.size))
    try:
        yield from split(file, job.options, job.side_path, crew)
    except SourceRefused as refusal:
        yield Refusal(refusal.code, refusal.message)
    except MemoryError:
        yield Refusal(
            "DECODER_OUT_OF_MEMORY",
            f"Decoding takes more than the {job.options.limits.memory_bytes} bytes of memory "
            "allowed: scale the video down, or convert it to H.264.",
        )
    except (av.error.FFmpegError, OSError) as error:
        if not (is_full(error) or isinstance(error, av.error.FFmpegError)):
            raise
        traceback.print_exc()
        yield _gave_up(error)


def _gave_up(error: OSError | av.error.FFmpegError) -> Refusal:
    if is_full(error):
        return Refusal(
            "NO_SPACE",
            "The video's sound and subtitles do not fit into the splitter's work folder: give it "
            "more space, and upload the video again.",
        )
    why = error.strerror or "FFmpeg gave up"
    return Refusal("DECODER_FAILED", f"The video could not be processed: {why}.")


@contextlib.contextmanager
def _claimed_output() -> Iterator[BinaryIO]:
    """Take over the result pipe, so that what a library prints does not get between messages."""
    private = os.dup(1)
    os.dup2(2, 1)
    with os.fdopen(private, "wb") as output:
        yield output


if __name__ == "__main__":
    main()
