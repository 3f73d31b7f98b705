"""The standard streams of a command, which may be closed, or lead to a full disk."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import Any


def prepare_streams() -> None:
    """Make the standard streams safe to write any text to.

    What cannot be written to stderr is lost, so that it does not end a command's work. An error of
    stdout says that it is one. In both, nobody reading any more is a ``BrokenPipeError``.
    """
    _replace_closed_streams()
    # File names may be bytes that are not text, and programs need them unchanged.
    if sys.stdout is sys.__stdout__:
        sys.stdout = _over(_Stdout, sys.stdout, "surrogateescape")
    if sys.stderr is sys.__stderr__:
        sys.stderr = _over(_Stderr, sys.stderr, "backslashreplace")


def give_up_stdout() -> None:
    """Discard output that cannot be written, so that flushing it at exit does not fail again."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _replace_closed_streams() -> None:
    """Open the null device for each standard stream that is closed.

    Otherwise the next file that is opened would get its number, and ``print`` would use stdout in
    place of a closed stderr.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)
            if null != number:
                os.dup2(null, number)
                os.close(null)
            setattr(sys, name, os.fdopen(number, "w" if number else "r", closefd=False))


class _Stdout(io.FileIO):
    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            said = f"cannot write to standard output: {error.strerror}"
            raise OSError(error.errno, said) from error


class _Stderr(io.FileIO):
    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            raise
        except OSError:  # its disk is full, or its terminal is gone
            return len(data)


def _over(kind: type[io.FileIO], stream: Any, errors: str) -> io.TextIOWrapper:
    """Return a stream like another one over a file of its own kind."""
    buffer = io.BufferedWriter(kind(stream.fileno(), "w", closefd=False))
    return io.TextIOWrapper(
        buffer,
        stream.encoding,
        errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
