"""Every failure the services name, as one tree.

::

    StylestreamError
    ├── ConfigurationError      the environment is wrong; exit 2, every problem named at once
    ├── TransientError          a dependency is away; worth another try
    │   ├── DeniedError         it refuses the credentials; an operator can cure that
    │   └── NoContainerError    it lacks the container; an operator can cure that
    └── PermanentError          trying again cannot help; the job fails with this cause
        ├── DoubtfulError       so it seems; believed when it is still so after some seconds
        ├── MessageError        an event that is not the pipeline's
        │   └── NewerMessageError   ... yet: it is of a kind or version that a newer release sends
        ├── SourceRefused       the upload is not a video that we take
        ├── StyleError          the style is unknown or its file is not a style
        ├── ChunkError          a chunk's blob does not hold what its event promised
        └── ResultError         the assembled result is not what the manifest promises
            └── TrackError      ... because of a track beside the picture, which can go without it

Permanent errors carry a ``code`` for machines (it ends up in status records and metrics) and
one sentence for people that names the thing and, where there is one, the remedy.
"""

from __future__ import annotations


class StylestreamError(Exception):
    """The root of every error that the project raises on purpose."""


class ConfigurationError(StylestreamError):
    """Settings that cannot work; ``problems`` holds one sentence each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class TransientError(StylestreamError):
    """A dependency did not answer as it should; the same call may work later."""


class DeniedError(TransientError):
    """A dependency answers and refuses the credentials; renewed, or granted a role, they work."""


class NoContainerError(TransientError):
    """Storage answers, and has no such container; somebody may be making it."""


class PermanentError(StylestreamError):
    """A failure that another try would only repeat."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class DoubtfulError(PermanentError):
    """A failure that another try should only repeat; it gets a few before it is believed."""


class MessageError(PermanentError):
    """An event whose body cannot be understood; ``raw`` keeps what came."""

    def __init__(self, message: str, raw: bytes, code: str = "BAD_MESSAGE") -> None:
        super().__init__(code, message)
        self.raw = raw


class NewerMessageError(MessageError):
    """An event of the pipeline's that this release does not know; a newer one has sent it."""

    def __init__(self, message: str, raw: bytes) -> None:
        super().__init__(message, raw, "NEWER_MESSAGE")


class SourceRefused(PermanentError):
    """The uploaded file is not a video that the service takes."""


class StyleError(PermanentError):
    """A style that is unknown, or a file that is not a valid style."""


class ChunkError(PermanentError):
    """A chunk or segment whose content contradicts its description."""


class ResultError(PermanentError):
    """A muxed result that does not hold exactly the manifest's frames."""


class TrackError(ResultError):
    """A copied track that cannot be written, or is not the source's; ``tracks`` are at fault.

    They are counted from 0, in the order of the manifest.
    """

    def __init__(self, code: str, message: str, tracks: frozenset[int]) -> None:
        super().__init__(code, message)
        self.tracks = tracks
