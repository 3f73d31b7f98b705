"""Styles over time: which style a video is painted in, and when.

A user writes ``starry-night@0s,great-wave@10s``: at each time the painting begins to fade into the
next style. During a fade every frame is painted in a blend of both styles, at the cost of any other
blend. The blend depends on the frame's time alone, so frames come out the same however a video is
cut into chunks.

A fade advances in `STEPS`, which limits the number of blends in a slow one.
"""

from __future__ import annotations

import functools
import hashlib
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, NamedTuple, Self

from shared.contracts.style_blend import (
    MOST_STYLES,
    blend_between,
    blend_slug,
    blend_text,
    parse_blend,
)
from shared.contracts.times import FORMS, format_ms, parse_time

STEPS: Final = 50
"""Steps of a fade: each changes a picture by 1 to 3 levels, as consecutive frames differ anyway."""

DEFAULT_FADE_MS: Final = 1000

MOST_CUES: Final = 64
"""The request is kept in blob metadata, which is limited to 8 KiB."""

_LONGEST_SLUG: Final = 80


class Look(NamedTuple):
    """What a frame is painted in: a style or a blend; ``passing`` marks a step of a fade."""

    style: str
    passing: bool = False


class Cue(NamedTuple):
    """A style, or a blend in its canonical text, and the time from which it is painted."""

    at_ms: int
    style: str


@dataclass(frozen=True, slots=True)
class Schedule:
    """A video's styles in the order of their times: the first at 0, successive ones different.

    A fade takes ``fade_ms`` from its cue on, and has ended when the next one begins.
    """

    cues: tuple[Cue, ...]
    fade_ms: int = DEFAULT_FADE_MS

    @classmethod
    def of(cls, text: str, fade_ms: int | None = None) -> Self:
        """Return the schedule of a text for `parse_cues`; ``fade_ms`` of None is the usual fade.

        Raises:
            ValueError: with one sentence that says what is wrong, such as a fade that is too long.
        """
        cues = parse_cues(text)
        if fade_ms is not None and len(cues) == 1:
            raise ValueError(
                "a fade needs several styles over time (STYLE@TIME,STYLE@TIME), and "
                f"{text!r} is one style"
            )
        schedule = cls(cues, DEFAULT_FADE_MS if fade_ms is None else fade_ms)
        schedule._check_fades()
        return schedule

    @property
    def slug(self) -> str:
        """The schedule in a form for file names; a long one ends in a digest."""
        first, *others = (blend_slug(style) for _, style in self.cues)
        changes = [
            f"then-{style}-at-{cue.at_ms}ms"
            for style, cue in zip(others, self.cues[1:], strict=True)
        ]
        if others and self.fade_ms != DEFAULT_FADE_MS:
            changes.append(f"fade-{self.fade_ms}ms")
        slug = "-".join([first, *changes])
        if not others or len(slug) <= _LONGEST_SLUG:
            return slug
        digest = hashlib.sha256(slug.encode()).hexdigest()[:8]
        return f"{first}-then-{len(others)}-more-{digest}"

    def look_at(self, seconds: Fraction) -> Look:
        """Return what a frame that is shown at ``seconds`` is painted in."""
        index = max(bisect_right(self.cues, 1000 * seconds, key=_begin) - 1, 0)
        at_ms, style = self.cues[index]
        passed_ms = 1000 * seconds - at_ms
        if not index or passed_ms >= self.fade_ms:
            return Look(style)
        step = int(passed_ms * STEPS / self.fade_ms + Fraction(1, 2))
        before = self.cues[index - 1].style
        if step in {0, STEPS}:
            return Look(style if step else before)
        return Look(blend_between(before, style, Fraction(step, STEPS)), passing=True)

    def unseen(self, end: Fraction) -> Iterator[str]:
        """Yield a sentence for each style that begins at or after the video's ``end``, in s."""
        for at_ms, style in self.cues[1:]:
            if at_ms >= 1000 * end:
                yield (
                    f"the video ends at {float(end):.4g} s, before the style {style} begins at "
                    f"{format_ms(at_ms)}"
                )

    def _check_fades(self) -> None:
        for before, cue, after in zip(
            self.cues, self.cues[1:], [*self.cues[2:], None], strict=False
        ):
            names = {name for style in (before.style, cue.style) for name, _ in parse_blend(style)}
            if self.fade_ms and len(names) > MOST_STYLES:
                raise ValueError(
                    f"the fade at {format_ms(cue.at_ms)} would blend {len(names)} styles, and a "
                    f"blend has at most {MOST_STYLES}: set fade to 0, or name fewer"
                )
            if after is not None and cue.at_ms + self.fade_ms > after.at_ms:
                raise ValueError(
                    f"the fade of {format_ms(self.fade_ms)} that begins at {format_ms(cue.at_ms)} "
                    f"is not over when the next style begins, at {format_ms(after.at_ms)}: set "
                    f"fade to {format_ms(after.at_ms - cue.at_ms)} or less"
                )


@functools.lru_cache(maxsize=1024)
def parse_cues(text: str) -> tuple[Cue, ...]:
    """Read ``STYLE@TIME,STYLE@TIME``, or a style without a time, which begins at 0.

    Raises:
        ValueError: with one sentence that says what is wrong.
    """
    cues = _without_repetitions(list(_cues(text)) if "@" in text else [_cue(text, 0)])
    if len(cues) > MOST_CUES:
        raise ValueError(f"a video has at most {MOST_CUES} styles over time, not {len(cues)}")
    return cues


def cues_text(cues: tuple[Cue, ...]) -> str:
    """Return the canonical text: the bare style if it never changes."""
    if len(cues) == 1:
        return cues[0].style
    return ",".join(f"{style}@{format_ms(at_ms)}" for at_ms, style in cues)


def _cues(text: str) -> Iterator[Cue]:
    """Yield the cues of ``text``; commas between two times separate the styles of a blend."""
    blend: list[str] = []
    last_ms = -1
    for part in text.split(","):
        style, at, time = part.partition("@")
        blend.append(style)
        if not at:
            continue
        if not style.strip():
            raise ValueError(f"styles over time are written STYLE@TIME,STYLE@TIME, not {text!r}")
        cue = _cue(",".join(blend), _milliseconds(style.strip(), time))
        if last_ms < 0 < cue.at_ms:
            raise ValueError(f"the first style must begin at 0s, not at {format_ms(cue.at_ms)}")
        if cue.at_ms <= last_ms:
            raise ValueError(
                f"the times of styles must increase: {cue.style!r} begins at "
                f"{format_ms(cue.at_ms)}, and the one before it at {format_ms(last_ms)}"
            )
        yield cue
        blend, last_ms = [], cue.at_ms
    if blend:
        raise ValueError(
            f"styles over time are written STYLE@TIME,STYLE@TIME: {','.join(blend)!r} has no time"
        )


def _begin(cue: Cue) -> Fraction:
    return Fraction(cue.at_ms)


def _cue(blend: str, at_ms: int) -> Cue:
    return Cue(at_ms, blend_text(parse_blend(blend)))


def _milliseconds(style: str, time: str) -> int:
    seconds = parse_time(time)
    if seconds is None:
        raise ValueError(f"the time of {style!r} must be {FORMS}, not {time.strip()!r}")
    return round(1000 * seconds)


def _without_repetitions(cues: list[Cue]) -> tuple[Cue, ...]:
    befores = [None, *cues[:-1]]
    return tuple(
        cue
        for cue, before in zip(cues, befores, strict=True)
        if before is None or cue.style != before.style
    )
