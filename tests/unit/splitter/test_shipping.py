"""Chunks on their way: a split that is interrupted gives their places back."""

from __future__ import annotations

import asyncio

import pytest
from manifests import manifest

from shared.contracts.messages import ChunkReady
from splitter.shipping import Shipping


async def test_a_chunk_whose_shipment_is_cancelled_before_it_begins_leaves_its_place() -> None:
    sealed = manifest("0" * 24, [8])
    event = ChunkReady.of(sealed.job_id, sealed.source, sealed.style, sealed.chunks[0])
    shipping = Shipping("frames", 1, None, lambda: True)  # type: ignore[arg-type]

    async def interrupted() -> None:
        async with asyncio.timeout(60), asyncio.TaskGroup() as shipments:
            await shipping.begin(shipments, event, b"")
            raise ValueError("the decoder was killed")

    for _ in range(2):
        with pytest.raises(ExceptionGroup):
            await interrupted()
