"""Decide how each track beside the picture is stored in the result, and in which container.

Sound is copied unchanged if a container can hold it: MP4 if possible, else Matroska. What neither
can hold is decoded and stored losslessly. Text is converted between the two containers' formats.
Whether a container can hold a track is found out by writing a header: lists of codecs do not tell.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

import av.error
from av.audio.stream import AudioStream
from av.packet import Packet
from av.stream import Stream

from shared.media.containers import (
    ContainerName,
    add_copy,
    codec_name,
    fits,
    is_full,
    name_of,
    open_trial,
)
from splitter.media.captions import CONVERTIBLE

_MP4_AUDIO = frozenset({"aac", "mp3", "mp2", "opus", "flac", "ac3", "eac3", "alac", "dts"})
"""Audio that MP4 holds in a form that players support."""

_MOV_TEXT = "mov_text"
_MKV_TEXT = frozenset({"subrip", "ass", "ssa", "webvtt", "text"})

_WHOLE_SAMPLES = frozenset({"u8", "s16", "s32"})
"""Sample formats stored as FLAC, which holds up to 24 bits: the codecs concerned have no more."""


class Way(Enum):
    """What is done to a track's packets; the value is the resulting codec."""

    COPY = ""
    TO_MOV_TEXT = _MOV_TEXT
    TO_SUBRIP = "subrip"
    TO_FLAC = "flac"
    TO_FLOATS = "pcm_f32le"

    @property
    def recodes(self) -> bool:
        """Whether the sound is decoded and encoded again."""
        return self in (Way.TO_FLAC, Way.TO_FLOATS)


@dataclass(frozen=True, slots=True)
class Carried:
    """A track that the result will contain."""

    stream: Stream
    way: Way

    @property
    def codec(self) -> str:
        """The codec in the result."""
        return self.way.value or codec_name(self.stream)


@dataclass(slots=True)
class Carriage:
    """The result's container, its tracks beside the picture, and what it will not contain.

    ``dropped`` has a clause for each track that is left out. ``losses`` has a sentence for each
    audio track that is missing, ``changes`` for each that is stored in another form.
    """

    container: ContainerName = "mp4"
    carried: list[Carried] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)


def plan_carriage(streams: Iterable[Stream], folder: Path, *, has_chapters: bool) -> Carriage:
    """Plan how to store a source's ``streams`` other than its main video.

    Trial files are written to ``folder`` and deleted.
    """
    plan = Carriage()
    texts: list[Stream] = []
    sounds: list[AudioStream] = []
    for stream in streams:
        if isinstance(stream, AudioStream) and _is_playable(stream):
            sounds.append(stream)
        elif stream.type == "subtitle" and codec_name(stream) in {_MOV_TEXT, *_MKV_TEXT}:
            texts.append(stream)
        elif stream.type == "audio":
            _leave_out(plan, stream, "it cannot be read")
        elif not (has_chapters and codec_name(stream) == "bin_data"):
            # (MP4 stores chapter titles, which are kept, as a data track.)
            plan.dropped.append(name_of(stream))
    ways = _plan_sounds(plan, sounds, folder)
    for text in texts:
        way = _way_of_text(codec_name(text), plan.container)
        if way is None:
            plan.dropped.append(f"{name_of(text)[:-1]}, does not fit {plan.container})")
        else:
            ways[text.index] = Carried(text, way)
    plan.carried = [ways[index] for index in sorted(ways)]
    return plan


def _plan_sounds(plan: Carriage, sounds: list[AudioStream], folder: Path) -> dict[int, Carried]:
    copied = _choose_container(plan, sounds, folder)
    ways = {}
    for stream in sounds:
        way = Way.COPY if stream.index in copied else _lossless_way(stream)
        if way is None:
            _leave_out(
                plan, stream, "it can neither be decoded nor stored in a supported container"
            )
            continue
        if way.recodes:
            stored = "FLAC" if way is Way.TO_FLAC else "PCM"
            plan.changes.append(
                f"audio track {stream.index} ({codec_name(stream)}) fits neither MP4 nor Matroska, "
                f"and is stored without loss as {stored}"
            )
        ways[stream.index] = Carried(stream, way)
    return ways


def _choose_container(plan: Carriage, sounds: list[AudioStream], folder: Path) -> set[int]:
    """Choose the plan's container; return the numbers of the tracks that are copied into it."""
    in_mp4 = {s.index for s in sounds if codec_name(s) in _MP4_AUDIO and fits(s, "mp4", folder)}
    others = [s for s in sounds if s.index not in in_mp4]
    in_mkv = {s.index for s in others if fits(s, "mkv", folder)}
    if not in_mkv and not any(_lossless_way(s) is Way.TO_FLOATS for s in others):
        return in_mp4
    plan.container = "mkv"
    return in_mkv | {s.index for s in sounds if s.index in in_mp4 and fits(s, "mkv", folder)}


def _leave_out(plan: Carriage, stream: Stream, why: str) -> None:
    plan.dropped.append(name_of(stream))
    name = codec_name(stream)
    named = f" ({name})" if name else ""
    plan.losses.append(f"audio track {stream.index}{named} is left out: {why}")


def _lossless_way(stream: AudioStream) -> Way | None:
    samples = stream.codec_context.format.name if stream.codec_context.format else ""
    samples = samples.removesuffix("p")
    if samples in _WHOLE_SAMPLES:
        return Way.TO_FLAC
    return Way.TO_FLOATS if samples in ("flt", "dbl") else None


def _way_of_text(codec: str, container: ContainerName) -> Way | None:
    if container == "mp4":
        if codec in CONVERTIBLE:
            return Way.TO_MOV_TEXT
        return Way.COPY if codec == _MOV_TEXT else None
    return Way.TO_SUBRIP if codec == _MOV_TEXT else Way.COPY


def is_writable(packet: Packet[Stream], container: ContainerName, beside: Path) -> bool:
    """Return whether a file of one packet can be written: some damaged headers fail only then.

    The trial file may be written next to the file ``beside``, and is deleted.
    """
    copy: Packet[Stream] = Packet(bytes(packet))
    copy.pts = copy.dts = 0
    copy.duration, copy.time_base, copy.is_keyframe = packet.duration, packet.time_base, True
    path = beside.with_name(f"{beside.name}.trial")
    try:
        with open_trial(path, container, packet.stream) as trial:
            copy.stream = add_copy(trial, packet.stream)
            trial.mux(copy)
    except (ValueError, av.error.FFmpegError) as error:
        if is_full(error):
            raise
        return False
    finally:
        path.unlink(missing_ok=True)
    return True


def _is_playable(stream: AudioStream) -> bool:
    context = stream.codec_context
    return bool(context and context.codec.type == "audio" and stream.rate and stream.channels)
