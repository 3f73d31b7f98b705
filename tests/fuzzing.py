"""Makes bad input from good, at random from a seed.

Good input that is damaged in a few places gets much deeper into a parser than random bytes do.
``FUZZ_INPUTS`` says how many inputs each fuzz test tries; a night may take a hundred thousand.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Sequence
from typing import Any

INPUTS = int(os.environ.get("FUZZ_INPUTS", "1000"))

_EDGES = (0, 1, 0x7F, 0x80, 0xFF, 0x40, 0xD0, 0xB0)
_ODD: tuple[Any, ...] = (
    *(None, True, -1, 0, 1.5, 1e308, 2**63, -(2**63) - 1, 10**400),
    *("", "\x00", "\ud800", "é" * 300, "1/0", "1/" + "9" * 50, "nan", "../../x"),
    *([], {}, [[]], {"": None}, [0] * 50),
)


def mutate(data: bytes, chance: random.Random, spare: Sequence[bytes] = (b"",)) -> bytes:
    """Return ``data`` with a few bytes flipped, lost, repeated, or mixed with one of ``spare``."""
    spoilt = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 4, 8))):
        place = chance.randrange(len(spoilt) + 1)
        length = chance.choice((1, 1, 2, 4, 16))
        match chance.randrange(7):
            case 0:
                spoilt[place : place + length] = chance.randbytes(length)
            case 1:
                spoilt[place : place + 1] = bytes((chance.choice(_EDGES),))
            case 2:
                del spoilt[place : place + length]
            case 3:
                spoilt[place:place] = spoilt[place : place + length] * chance.choice((1, 2, 50))
            case 4:
                # Sizes and counts are big-endian words.
                spoilt[place : place + 4] = chance.choice(
                    (b"\x00\x00\x00\x00", b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff")
                )
            case 5:
                other = chance.choice(spare)
                cut = chance.randrange(len(other) + 1)
                spoilt[place:] = other[cut:]
            case 6:
                del spoilt[place:]
    return bytes(spoilt)


def mutate_json(document: Any, chance: random.Random) -> bytes:
    """Return a JSON text that differs from ``document``'s in a value, in a key, or in its bytes."""
    spoilt = json.loads(json.dumps(document))
    places = list(_places(spoilt))
    for _ in range(chance.choice((1, 1, 2, 3))):
        holder, key = chance.choice(places)
        if chance.random() < 0.2:
            holder.pop(key, None) if isinstance(holder, dict) else holder.clear()
        elif isinstance(holder, dict) or key < len(holder):
            holder[key] = chance.choice(_ODD)
    text = json.dumps(spoilt, ensure_ascii=chance.random() < 0.5)
    data = text.encode("utf-8", "surrogatepass")
    return mutate(data, chance) if chance.random() < 0.3 else data


def _places(value: Any) -> list[tuple[Any, Any]]:
    """List every holder and key of a document."""
    found: list[tuple[Any, Any]] = []
    keys = value.keys() if isinstance(value, dict) else range(len(value))
    for key in keys:
        found.append((value, key))
        if isinstance(value[key], dict | list):
            found += _places(value[key])
    return found


def every_input(
    make: Callable[[random.Random], bytes], seed: int, count: int = INPUTS
) -> Sequence[bytes]:
    """Return ``count`` inputs; the same seed gives the same."""
    chance = random.Random(seed)
    return [make(chance) for _ in range(count)]
