"""The yardstick: paints one picture by optimising its pixels (Gatys et al., CVPR 2016).

It minimises the same losses as the training of networks, so it shows how small these losses can be
without a network. It takes minutes for each picture.
"""

from __future__ import annotations

import torch
from torch import Tensor

from training.features import Features
from training.losses import (
    Statistics,
    content_losses,
    contents,
    hue_loss,
    local_loss,
    luma_loss,
    measure,
    range_loss,
    style_loss,
    variation_loss,
    views,
)
from training.trainer import Plan


def paint(
    picture: Tensor,
    wanted: dict[str, Statistics],
    features: Features,
    plan: Plan,
    iterations: int = 40,
) -> Tensor:
    """Return ``picture`` (1, 3, H, W), 0..1, painted; starts with the picture itself."""
    content = contents(picture, features)
    painted = picture.clone().requires_grad_()
    optimiser = torch.optim.LBFGS([painted], max_iter=iterations, line_search_fn="strong_wolfe")

    def distance() -> Tensor:
        optimiser.zero_grad()
        seen = views(painted, features)
        measured = measure(seen, wanted)
        loss = (
            plan.style * style_loss(measured, wanted)
            + plan.local * local_loss(measured, wanted)
            + plan.content * content_losses(seen, content, wanted)
            + plan.luma * luma_loss(painted, picture)
            + plan.hue * hue_loss(painted, picture)
            + plan.variation * variation_loss(painted)
            + plan.bounds * range_loss(painted)
        )
        loss.backward()
        return loss

    optimiser.step(distance)
    return painted.detach().clamp(0, 1)
