"""Plans what is broken when, drawn from a seed before anything starts. Pure.

A fault strikes at a step, not at a time: steps count the chunks and segments written since the run
began, so that a plan hits the middle of the work on slow and on fast machines alike.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

UserAction = Literal[
    "cancel a job",
    "cancel and delete a job",
    "delete a job",
    "delete an upload",
    "submit a deleted job's video again",
    "touch an upload",
    "replace an upload",
]
Kind = Literal[
    "kill stylizer",
    "kill splitter",
    "kill assembler",
    "freeze stylizer",
    "freeze splitter",
    "freeze assembler",
    "terminate stylizer",
    "terminate splitter",
    "terminate assembler",
    "kill the broker",
    "terminate storage",
    "kill everything",
    "kill a decoder",
    "scale the pool",
    "take all stylizers away",
    "cut connections to the broker",
    "hold connections to the broker",
    "silence connections to the broker",
    "slow connections to the broker",
    "cut connections to storage",
    "hold connections to storage",
    "silence connections to storage",
    "slow connections to storage",
    "storage answers 503",
    "storage answers 429",
    "storage answers 403",
    "storage answers 401",
    "storage answers 404",
    "storage answers 409",
    "storage answers 412",
    "away for a while: the users' account",
    "away for a while: the internal account",
    "away for a while: the topic",
    "away for a while: the uploads hub",
    "away for a while: the frames hub",
    "away for a while: the segments hub",
    "answers of storage are lost",
    "roll out other settings",
    "roll out a newer version",
    "roll out updated styles",
    "put a clock wrong",
    "starve stylizer",
    "starve splitter",
    "starve assembler",
    "fill the disk",
    "make the hubs anew",
    "lose uploads' events",
    "lose chunks' events",
    "lose segments' events",
    "events come twice",
    "old events come again, shuffled",
    "damage a chunk",
    "damage a segment",
    "damage copied tracks",
    "poison a chunk",
    UserAction,
    "users act at random",
]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

BEFORE_UPLOADS: Final[frozenset[Kind]] = frozenset({"make the hubs anew"})
"""Faults that strike before a run's first upload, because they would lose uploads' events."""

_HANDS: Final = range(1, 9)
"""Numbers of faults per run, each of which occurs once in as many runs."""

_LASTING_S: Final[dict[str, tuple[float, float]]] = {
    # Longer than the ownership expiry of the run's settings: others take over meanwhile.
    "freeze": (1.0, 7.0),
    "hold": (0.5, 6.0),
    "slow": (2.0, 4.0),
    "storage answers": (0.5, 3.0),
    "answers of": (0.5, 2.0),
    "scale": (1.0, 3.0),
    # Longer than the run's stall timeout, after which a job with a lost event fails.
    "take all": (2.0, 24.0),
    "away": (1.0, 8.0),
    "starve": (2.0, 6.0),
    "fill": (1.0, 6.0),
    "put a clock": (4.0, 12.0),
    "users": (2.0, 8.0),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of a plan."""

    kind: Kind
    step: int
    """How many chunks and segments the run has written when it strikes."""
    seconds: float
    """How long it lasts; 0 if it does not."""
    seed: int
    """For its other random choices."""


def deal(seed: int) -> tuple[Kind, ...]:
    """Return a run's kinds of fault; over consecutive seeds, every kind comes up equally often.

    The seeds share shuffled decks of all kinds, and each takes the cards that follow those of the
    seed before it. So a run's faults follow from its seed alone, whatever campaign it is part of.
    """
    block, place = divmod(seed, len(_HANDS))
    hands = random.Random(block).sample(_HANDS, len(_HANDS))  # noqa: S311 - as above
    first = block * sum(_HANDS) + sum(hands[:place])
    # Each kind once: a video whose decoder is killed again at its second try is rightly given up.
    return tuple(dict.fromkeys(map(_card, range(first, first + hands[place]))))


def _card(number: int) -> Kind:
    deck, place = divmod(number, len(KINDS))
    return random.Random(deck).sample(KINDS, len(KINDS))[place]  # noqa: S311 - as above


def plan_faults(seed: int, steps: int, kinds: Sequence[Kind]) -> tuple[Fault, ...]:
    """Draw when and for how long each of ``kinds`` strikes; return the faults by step."""
    rng = random.Random(seed)  # noqa: S311 - a seed must repeat the run
    faults = [
        Fault(kind, rng.randrange(1, steps), _seconds(kind, rng), rng.getrandbits(32))
        for kind in kinds
    ]
    return tuple(sorted(faults, key=lambda fault: fault.step))


def recovery_s(kind: Kind) -> float:
    """Return how long after a fault's end its effects may still be felt."""
    # A storage client waits a whole minute before it gives up a silent connection.
    return 90.0 if kind == "silence connections to storage" else 20.0


def _seconds(kind: Kind, rng: random.Random) -> float:
    for beginning, bounds in _LASTING_S.items():
        if kind.startswith(beginning):
            return round(rng.uniform(*bounds), 2)
    return 0.0
