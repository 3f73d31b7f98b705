"""Blends: several styles at once, each with its share.

A user writes ``starry-night:0.6,great-wave:0.4``. Equal blends must be one job, so every blend has
one canonical text: its shares are whole hundredths that add up to 1, its styles are sorted by name
and distinct. A single style of any weight is that style's bare name.
"""

from __future__ import annotations

import functools
import re
from collections import defaultdict
from collections.abc import Mapping
from fractions import Fraction
from typing import Final, NamedTuple

MOST_STYLES: Final = 4
"""A blend of more than four styles turns into an even brown."""

WHOLE: Final = 100

_WEIGHT: Final = re.compile(r"[0-9]{1,6}(\.[0-9]{0,6})?|\.[0-9]{1,6}")


class Portion(NamedTuple):
    """A style's share of a blend, in hundredths."""

    style: str
    percent: int


@functools.lru_cache(maxsize=1024)
def parse_blend(text: str) -> tuple[Portion, ...]:
    """Return the styles that ``text`` names, sorted by name, with shares that add up to `WHOLE`.

    A missing weight counts as 1. A style whose share rounds to 0 is left out.

    Raises:
        ValueError: with one sentence that says what is wrong.
    """
    weights: defaultdict[str, Fraction] = defaultdict(Fraction)
    parts = text.split(",")
    for part in parts:
        name, colon, weight = (piece.strip() for piece in part.partition(":"))
        if not name and len(parts) + len(colon) > 1:
            raise ValueError(f"a blend is written NAME:WEIGHT,NAME:WEIGHT, not {text!r}")
        weights[name] += _weight(name, weight) if colon else Fraction(1)
    if len(weights) > MOST_STYLES:
        raise ValueError(
            f"a blend has at most {MOST_STYLES} styles, and {text!r} names {len(weights)}"
        )
    if not sum(weights.values()):
        raise ValueError(f"the weights of {text!r} add up to 0: give one style a weight above 0")
    return _portions(weights)


def blend_text(portions: tuple[Portion, ...]) -> str:
    """Return the canonical text of a blend."""
    if len(portions) == 1:
        return portions[0].style
    return ",".join(f"{style}:{percent / WHOLE:.2f}" for style, percent in portions)


def blend_between(one: str, other: str, share: Fraction) -> str:
    """Return the blend that is ``share`` of the way from ``one`` style or blend to the ``other``.

    >>> blend_between("a", "a:0.5,b:0.5", Fraction(1, 2))
    'a:0.75,b:0.25'
    """
    weights: defaultdict[str, Fraction] = defaultdict(Fraction)
    for text, weight in ((one, 1 - share), (other, share)):
        for style, percent in parse_blend(text):
            weights[style] += percent * weight
    return blend_text(_portions(weights))


def blend_slug(text: str) -> str:
    """Return a style or blend in a form for file names: without colons, commas and dots."""
    portions = parse_blend(text)
    if len(portions) == 1:
        return portions[0].style
    return "-".join(f"{style}-{percent}" for style, percent in portions)


def _portions(weights: Mapping[str, Fraction]) -> tuple[Portion, ...]:
    shares = sorted(_hundredths(weights).items())
    return tuple(Portion(name, percent) for name, percent in shares if percent)


def _weight(name: str, text: str) -> Fraction:
    if not _WEIGHT.fullmatch(text):
        raise ValueError(f"the weight of {name!r} must be a number such as 0.6, not {text!r}")
    return Fraction(text if text[-1] != "." else text[:-1])


def _hundredths(weights: Mapping[str, Fraction]) -> dict[str, int]:
    """Apportion `WHOLE` by weight, by the largest remainder method; ties go by name."""
    total = sum(weights.values())
    exact = {name: weight * WHOLE / total for name, weight in weights.items()}
    shares = {name: int(share) for name, share in exact.items()}
    by_rest = sorted(exact, key=lambda name: (shares[name] - exact[name], name))
    for name in by_rest[: WHOLE - sum(shares.values())]:
        shares[name] += 1
    return shares
