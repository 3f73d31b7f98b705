"""``stylestream train``: trains a style from a painting and a folder of photographs."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from cli.interruption import Stopped
from local.defaults import gallery
from shared.contracts.errors import ConfigurationError, StyleError

if TYPE_CHECKING:
    from training.trainer import Progress

PHOTOGRAPHS: Final = (
    Path("~/Pictures"),
    Path("/usr/share/backgrounds"),
    Path("/usr/share/wallpapers"),
)
"""Folders that have pictures on many machines."""

LEAST_PHOTOGRAPHS: Final = 24
"""With fewer, the network would memorise them."""


async def train(arguments: Namespace) -> int:
    """Train a style, showing progress; a run that was interrupted continues where it stopped."""
    try:
        from training.session import Commission, carry_out
        from training.trainer import Plan
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            [
                f"training needs the package {error.name}: install the extra 'train' "
                "(in a checkout: scripts/setup --train)"
            ]
        ) from error
    chosen = {
        "steps": arguments.steps,
        "batch": arguments.batch,
        "style_size": arguments.style_size,
        "content": arguments.content_weight,
        "seed": arguments.seed,
    }
    commission = Commission(
        painting=arguments.painting,
        content=arguments.content or _find_photographs(),
        start=_start(arguments.start),
        output=arguments.output,
        card=_card(arguments),
        plan=Plan(**{name: value for name, value in chosen.items() if value is not None}),
        device=arguments.device,
        features=arguments.features,
    )
    # Ctrl-C reaches only this coroutine; the thread stops after its current step.
    ended = threading.Event()
    with _Bar(commission.plan.steps, ended) as bar:
        try:
            card = await asyncio.to_thread(carry_out, commission, bar.show, bar.say)
        finally:
            ended.set()
    print(f"{arguments.output}: {card.title}, {card.painter}; previews in {commission.folder}")
    return 0


def _find_photographs() -> Path:
    """Return a folder on this machine with pictures to train on.

    Raises:
        ConfigurationError: there are not enough pictures.
    """
    from training.data import pictures_in

    for folder in PHOTOGRAPHS:
        with contextlib.suppress(ConfigurationError, OSError):
            photos = len(pictures_in(folder.expanduser()))
            if photos >= LEAST_PHOTOGRAPHS:
                print(f"training on {photos} pictures in {folder}", file=sys.stderr)
                return folder.expanduser()
    looked = ", ".join(map(str, PHOTOGRAPHS))
    raise ConfigurationError(
        [
            "training needs some hundreds of photographs of any subject: name a folder with "
            f"--content; there are fewer than {LEAST_PHOTOGRAPHS} in {looked}"
        ]
    )


def _start(style: str) -> Path:
    if style.endswith(".onnx"):
        return Path(style)
    try:
        return gallery().find(style).path
    except StyleError as error:
        raise ConfigurationError([f"--from {style}: {error.message}"]) from error


def _card(arguments: Namespace) -> dict[str, Any]:
    title = arguments.title or arguments.output.stem.replace("-", " ").title()
    return {
        "title": title,
        "painter": arguments.painter,
        "year": arguments.year,
        "licence": arguments.licence,
    }


class _Bar:
    """Shows a training's steps, losses and time left on stderr, if that is a terminal."""

    def __init__(self, steps: int, ended: threading.Event) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        console = Console(stderr=True)
        self._bars = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._bar = self._bars.add_task("starting", total=steps)
        self._ended = ended

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def say(self, sentence: str) -> None:
        """Say something above the bar; called from the training's thread."""
        self._bars.console.print(sentence, markup=False, highlight=False, soft_wrap=True)

    def show(self, progress: Progress) -> None:
        """Show a step; called from the training's thread."""
        if self._ended.is_set():
            raise Stopped
        losses = progress.curve[-1] if progress.curve else {}
        shown = ("style", "content", "steady")
        words = "  ".join(f"{name} {losses[name]:.2f}" for name in shown if name in losses)
        self._bars.update(self._bar, completed=progress.step, description=words or "starting")
