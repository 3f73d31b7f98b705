"""Every failure the services name, as one tree.

::

    StylestreamError
    ├── ConfigurationError      the environment is wrong; exit 2, every problem named at once
    ├── TransientError          a dependency is unavailable; worth retrying
    │   ├── DeniedError         it refuses the credentials; an operator can fix that
    │   ├── NoContainerError    it lacks the container; an operator can fix that
    │   └── LockedError         it lets nobody change a blob while somebody holds a lease on it
    └── PermanentError          retrying cannot help; the job fails with this cause
        ├── DoubtfulError       probably permanent; retried for some seconds to make sure
        ├── MessageError        an event that is not one of the pipeline's
        │   └── NewerMessageError   ... or one that only a newer release knows
        ├── SourceRefused       the upload is not a supported video
        ├── StyleError          the style is unknown or its file is not a style
        ├── ChunkError          a chunk's blob does not hold what its event promised
        └── ResultError         the assembled result is not what the manifest promises
            └── TrackError      ... because of a copied track, which it can do without

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
    """A dependency did not answer as it should; the same call may succeed later."""


class DeniedError(TransientError):
    """A dependency refuses the credentials; renewing them or granting a role fixes it."""


class NoContainerError(TransientError):
    """Storage answers, but the container does not exist; it may be about to be created."""


class LockedError(TransientError):
    """A blob cannot be changed while somebody else holds a lease on it, perhaps for good."""


class PermanentError(StylestreamError):
    """A failure that retrying would only repeat."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class DoubtfulError(PermanentError):
    """A failure that is probably permanent; it is retried a few times to make sure."""


class MessageError(PermanentError):
    """An event whose body cannot be understood."""

    def __init__(self, message: str, code: str = "BAD_MESSAGE") -> None:
        super().__init__(code, message)


class NewerMessageError(MessageError):
    """A pipeline event of a type or version unknown here; a newer release has sent it."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "NEWER_MESSAGE")


class SourceRefused(PermanentError):
    """The uploaded file is not a video that the service supports."""


class StyleError(PermanentError):
    """A style that is unknown, or a file that is not a valid style."""


class ChunkError(PermanentError):
    """A chunk or segment whose content contradicts its description."""


class ResultError(PermanentError):
    """A muxed result that does not hold exactly the manifest's frames."""


class TrackError(ResultError):
    """A copied track that cannot be written, or that differs from the source's.

    ``tracks`` are the indices of the tracks at fault, from 0, in the manifest's order.
    """

    def __init__(self, code: str, message: str, tracks: frozenset[int]) -> None:
        super().__init__(code, message)
        self.tracks = tracks


def first_line(error: Exception) -> str:
    """Return the first line of what ``error`` says, or its type's name where it says nothing.

    Timeouts of sockets, for example, have no text.
    """
    return next(filter(None, str(error).splitlines()), type(error).__name__)
