"""Explain what a file is that is not accepted as a video, and how to make one from it.

FFmpeg recognises what it may open; this is for the sentence that users see about all other files.
"""

from __future__ import annotations

import re
from typing import Final

from shared.contracts.errors import SourceRefused

SUPPORTED: Final = (
    "MP4, MOV, 3GP, Matroska, WebM, AVI, FLV, MPEG-TS, MPEG-PS, WMV, Ogg, GIF, APNG, "
    "animated AVIF, MXF, NUT, IVF, DV and Y4M are supported"
)

_SEQUENCE_BRANDS: Final = frozenset({b"avis", b"msf1", b"hevc", b"hevx"})
_STILL_BRANDS: Final = {
    b"avif": "AVIF",
    b"heic": "HEIC",
    b"heix": "HEIC",
    b"heim": "HEIC",
    b"heis": "HEIC",
    b"mif1": "HEIF",
}

_RAW: Final = (
    (re.compile(rb"\x00{2,3}\x01[\x67\x27\x47\x09]"), "H.264", "h264"),
    (re.compile(rb"\x00{2,3}\x01[\x40\x42\x46]\x01"), "H.265", "hevc"),
    (re.compile(rb"\x00\x00\x01\xb3"), "MPEG video", "mpegvideo"),
    (re.compile(rb"\x00\x00\x01\xb0"), "MPEG-4 video", "m4v"),
    (re.compile(rb"\x12\x00\x0a[\x0a-\x10]"), "AV1", "obu"),
)

_PICTURES: Final = (
    (re.compile(rb"\x89PNG\r\n"), "a PNG image"),
    (re.compile(rb"\xff\xd8\xff"), "a JPEG image"),
    (re.compile(rb"BM.{4}\0\0\0\0", re.DOTALL), "a BMP image"),
    (re.compile(rb"II\*\0|MM\0\*"), "a TIFF image"),
    (re.compile(rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51"), "a JPEG 2000 image"),
    (re.compile(rb"\0\0\0\x0cJXL |\xff\x0a"), "a JPEG XL image"),
    (re.compile(rb"RIFF.{4}WEBPVP8X.{4}[^\x02\x12\x22\x32]", re.DOTALL), "a WebP image"),
    (re.compile(rb"RIFF.{4}WEBPVP8[ L]", re.DOTALL), "a WebP image"),
)

_OTHERS: Final = (
    (re.compile(rb"RIFF.{4}WEBP", re.DOTALL),
     "an animated WebP, which cannot be decoded: convert it to GIF or APNG"),
    (re.compile(rb"\.RMF"), "a RealMedia file, which is not supported: convert it to Matroska"),
    (re.compile(rb"ID3|\xff[\xfb\xf3\xf2\xfa]|fLaC|RIFF.{4}WAVE", re.DOTALL), "sound, not a video"),
    (re.compile(rb"%PDF"), "a PDF document"),
    (re.compile(rb"PK\x03\x04|\x1f\x8b|7z\xbc\xaf|Rar!"),
     "an archive: unpack it, and upload the videos in it"),
    (re.compile(rb"#EXTM3U|ffconcat|\s*<\?xml|\s*<MPD"),
     "a playlist of other files, which are not opened: upload the video itself"),
)  # fmt: skip

_CONTAINERS: Final = re.compile(
    rb"(?P<MP4>.{4}(ftyp|moov|mdat|wide|styp|moof|free|skip))"
    rb"|(?P<Matroska>\x1aE\xdf\xa3)|(?P<FLV>FLV\x01)|(?P<Ogg>OggS)|(?P<GIF>GIF8)"
    rb"|(?P<MPEG_PS>\x00\x00\x01\xba)|(?P<AVI>RIFF.{4}AVI )|(?P<IVF>DKIF)|(?P<Y4M>YUV4MPEG2)"
    rb"|(?P<MXF>\x06\x0e\x2b\x34)|(?P<WMV>\x30\x26\xb2\x75\x8e\x66\xcf\x11)"
    rb"|(?P<NUT>nut/multimedia)|(?P<MPEG_TS>G.{187}G)",
    re.DOTALL,
)


def explain_unopened(head: bytes) -> SourceRefused:
    """Return the refusal of a file that FFmpeg does not open, from its first bytes."""
    for pattern, name, demuxer in _RAW:
        if pattern.match(head):
            return SourceRefused(
                "NOT_A_VIDEO",
                f"The file is a raw {name} stream, which does not say when its frames are shown. "
                f"Wrap it first: ffmpeg -f {demuxer} -framerate 25 -i FILE -c copy FILE.mkv.",
            )
    for pattern, name in _PICTURES:
        if pattern.match(head):
            return SourceRefused("NOT_A_VIDEO", f"The file is {name}, not a video; {SUPPORTED}.")
    for pattern, name in _OTHERS:
        if pattern.match(head):
            return SourceRefused("NOT_A_VIDEO", f"The file is {name}; {SUPPORTED}.")
    if found := _CONTAINERS.match(head):
        name = next((name for name in found.groupdict() if found[name]), "MP4").replace("_", "-")
        return SourceRefused(
            "INVALID_MEDIA",
            f"The file begins like {name}, but its structure is damaged or cut off: copy it again "
            "from the original.",
        )
    return SourceRefused("NOT_A_VIDEO", f"The file is not a supported video; {SUPPORTED}.")


def still_picture(head: bytes) -> str | None:
    """Return the name of the format if a file begins as a still HEIF picture, else None.

    Such a file opens like an MP4. If it also holds an image sequence, it is a video.
    """
    if head[4:8] != b"ftyp":
        return None
    size = min(int.from_bytes(head[:4], "big"), len(head))
    major, *others = [head[at : at + 4] for at in (8, *range(16, size - 3, 4))]
    if major in _STILL_BRANDS and not _SEQUENCE_BRANDS & {major, *others}:
        return _STILL_BRANDS[major]
    return None
