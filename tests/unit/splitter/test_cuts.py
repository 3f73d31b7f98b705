"""What a split keeps of the chunks that it has cut."""

from __future__ import annotations

import dataclasses
import random
import tracemalloc
from itertools import accumulate

from manifests import manifest

from shared.contracts.manifest import Chunk, GridShift, Place, read_manifest, write_manifest
from splitter.cuts import Cuts

CHUNKS = 500
JOB = "a" * 24


def film() -> list[Chunk]:
    """Return the chunks of a film in which the camera never rests."""
    draws = random.Random(1)
    steps = [[round(draws.gauss(3, 4)) for _ in range(32 * CHUNKS)] for _ in "da"]
    ways = list(zip(*(accumulate(step) for step in steps), strict=True))
    return [
        dataclasses.replace(
            chunk,
            canvas=tuple(Place(*way) for way in ways[32 * chunk.index :][:32]),
            grid=tuple(GridShift(*way) for way in ways[32 * chunk.index :][:32]),
        )
        for chunk in manifest(JOB, [32] * CHUNKS).chunks
    ]


def test_the_places_of_a_films_frames_take_little_memory_until_its_end() -> None:
    chunks = film()
    tracemalloc.start()
    try:
        cuts = Cuts()
        for chunk in chunks:
            cuts.append(chunk)
        kept = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    # Half a million frames take less than 10 MB
    assert kept < 20 * 32 * CHUNKS
    # And the manifest lists all of them
    bare = manifest(JOB, [])
    whole = bare.model_copy(update={"chunks": tuple(chunks)})
    assert write_manifest(bare, cuts) == whole.to_json()
    assert read_manifest(write_manifest(bare, cuts), range(CHUNKS)).chunks == whole.chunks


def test_texts_that_look_like_a_manifests_fields_stay_as_they_are() -> None:
    bare = manifest(JOB, []).model_copy(update={"video_name": '","chunks":[],"'})
    assert read_manifest(write_manifest(bare, [])).video_name == bare.video_name


def test_a_chunk_is_compared_with_the_one_cut_in_its_place_before() -> None:
    cuts, chunks = Cuts(), film()[:3]
    for chunk in chunks:
        cuts.append(chunk)
    assert (len(cuts), cuts.frames, cuts.end) == (3, 96, 96)
    assert all(map(cuts.has, chunks))
    assert not cuts.has(dataclasses.replace(chunks[1], canvas=chunks[2].canvas))
