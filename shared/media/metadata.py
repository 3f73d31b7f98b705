"""What files say about their content and their tracks, as far as results say it too."""

from __future__ import annotations

import re
from typing import Final

from av.container import InputContainer, OutputContainer
from av.stream import Stream

from shared.media.containers import FORMATS

# What a muxer wrote about itself or an old file's structure says nothing about a new file; some of
# it would even have effects: `timecode` makes a track.
_STRUCTURAL = frozenset(
    {
        "major_brand",
        "minor_version",
        "compatible_brands",
        "encoder",
        "timecode",
        "reel_name",
        "creation_time",
        "duration",
        "software",
        # of MXF
        "operational_pattern_ul",
        "uid",
        "generation_uid",
        "company_name",
        "product_name",
        "product_version",
        "product_version_num",
        "product_uid",
        "toolkit_version_num",
        "application_platform",
        "material_package_umid",
        "modification_date",
    }
)

_APPLE: Final = "com.apple.quicktime."
_APPLE_NAMES: Final = {"location.ISO6709": "location", "creationdate": "date", "author": "artist"}

_OGG: Final = "ogg"
"""FFmpeg's name of a format in which each track says what others say of the file."""

_NAMES_SOFTWARE: Final = re.compile(
    r"handle|\bmedia\b|produced by|^\W|gopro|ambarella|dji", re.IGNORECASE
)
"""What MP4 writers call a track where nobody has given it a title."""


def carried_metadata(container: InputContainer) -> dict[str, str]:
    """Return the part of a file's metadata that is about its content.

    What QuickTime files say under names of Apple's own, which MP4 does not hold, gets the common
    ones: where and when an iPhone has recorded a video.
    """
    metadata = dict(container.metadata)
    for stream in container.streams if container.format.name == _OGG else ():
        metadata = {**stream.metadata, **metadata}
    apples, common = {}, {}
    for key, value in metadata.items():
        name = key.removeprefix(_APPLE)
        if name != key:
            apples[_APPLE_NAMES.get(name, name)] = value
        else:
            common[key] = value
    named = apples | common
    return {key: value for key, value in named.items() if key.lower() not in _STRUCTURAL}


def label_track(output: OutputContainer, track: Stream, like: Stream) -> None:
    """Give a new track what players show in their menus of another: language, title, purpose.

    MP4 has two places for a title, and some players know only one of them.
    """
    if language := like.metadata.get("language"):
        track.metadata["language"] = language
    if title := _title(like):
        track.metadata["title"] = title
        if output.format.name == FORMATS["mp4"]:
            track.metadata["handler_name"] = title
    track.disposition = like.disposition


def _title(track: Stream) -> str:
    if track.container.format.name == _OGG:
        return ""  # (It is the file's.)
    # (FFmpeg reads a title from MP4 under another name than it takes one for writing.)
    given = track.metadata.get("title") or track.metadata.get("name")
    handler = track.metadata.get("handler_name", "")
    return given or ("" if _NAMES_SOFTWARE.search(handler) else handler)
