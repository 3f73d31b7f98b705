"""Chooses half of the channels within a network's blocks, and does without the others.

Within a block nothing but a convolution reads its channels, and channels are correlated: what is
lost with one can mostly be had from those that stay. So channels are left out one by one, each time
the one without which least square error remains, given the best weights for the rest (optimal brain
surgeon: Hassibi and Stork, NIPS 1992, with linear regression as in He et al., "Channel pruning for
accelerating very deep neural networks", ICCV 2017).

All networks of a family lose the same channels, so that their weights can still be averaged.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn

from training.network import NARROW, StyleNetwork

_DAMPING: Final = 1e-6
"""Added to variances, relative to their mean: channels may be always zero, or each other's sum."""


class Moments(NamedTuple):
    """The mean (C) and covariance (C, C) of what a block's last convolution reads."""

    mean: Tensor
    covariance: Tensor


def measure_blocks(
    network: StyleNetwork, painted: Iterable[tuple[Tensor, Tensor]]
) -> list[Moments]:
    """Return the moments of each block over pictures (1, 3, H, W) and their places (1, 2)."""
    seen: list[list[Tensor]] = [[] for _ in network.blocks]

    def keep(parts: list[Tensor], _layer: nn.Module, _given: object, read: Tensor) -> None:
        parts.append(read.transpose(0, 1).flatten(1))

    handles = [
        block.spread_2.register_forward_hook(partial(keep, parts))
        for block, parts in zip(network.blocks, seen, strict=True)
    ]
    with torch.no_grad():
        for picture, place in painted:
            network.paint_whole(picture, place)
    for handle in handles:
        handle.remove()
    return [_moments(torch.cat(parts, dim=1).double()) for parts in seen]


def _moments(values: Tensor) -> Moments:
    covariance = values.cov()
    damping = _DAMPING * covariance.trace() / len(covariance)
    return Moments(values.mean(1), covariance + damping * torch.eye(len(covariance)).double())


def choose_channels(
    networks: Sequence[StyleNetwork], moments: Sequence[Sequence[Moments]]
) -> list[list[int]]:
    """Return the `NARROW` channels of each block that all ``networks`` keep."""
    return [
        _choose(
            [
                network.blocks[number].mix_2.weight[:, :, 0, 0].detach().double()
                for network in networks
            ],
            [of_network[number].covariance for of_network in moments],
        )
        for number in range(len(networks[0].blocks))
    ]


def _choose(mixes: list[Tensor], covariances: list[Tensor]) -> list[int]:
    kept = list(range(len(covariances[0])))
    powers = [(mix @ read @ mix.T).trace() for mix, read in zip(mixes, covariances, strict=True)]
    while len(kept) > NARROW:
        lost = torch.zeros(len(kept), dtype=torch.float64)
        for mix, read, power in zip(mixes, covariances, powers, strict=True):
            inverse = torch.linalg.inv(read[kept][:, kept])
            lost += (mix @ read[:, kept] @ inverse).square().sum(0) / inverse.diagonal() / power
        kept.pop(int(lost.argmin()))
    return kept


def narrowed(
    network: StyleNetwork, moments: Sequence[Moments], kept: Sequence[Sequence[int]]
) -> StyleNetwork:
    """Return a network of the ``kept`` channels, whose blocks return nearly what they did."""
    narrow = StyleNetwork(within=len(kept[0]))
    weights = dict(network.state_dict())
    for number, (read, channels) in enumerate(zip(moments, kept, strict=True)):
        block = f"blocks.{number}"
        for name in ("mix_1.weight", "mix_1.bias", "spread_2.weight", "spread_2.bias"):
            weights[f"{block}.{name}"] = weights[f"{block}.{name}"][channels]
        mix = weights[f"{block}.mix_2.weight"][:, :, 0, 0].double()
        inverse = torch.linalg.inv(read.covariance[channels][:, channels])
        mixed = mix @ read.covariance[:, channels] @ inverse
        offset = mix @ read.mean - mixed @ read.mean[channels]
        weights[f"{block}.mix_2.weight"] = mixed[:, :, None, None].float()
        weights[f"{block}.mix_2.bias"] = (weights[f"{block}.mix_2.bias"] + offset).float()
    narrow.load_state_dict(weights)
    return narrow
