"""The style network behind one small interface.

`Engine` is all that the rest of the service knows; another runtime needs one class here. A style is
one network. A blend of networks that share a trunk is one network, too, made by `interpolation` on
first use. A blend of other networks is the mean of their pictures, at the cost of running them all.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection
from typing import Final, Protocol

import numpy as np
import structlog

from shared.contracts.errors import ConfigurationError, StyleError
from shared.contracts.style_blend import WHOLE
from shared.contracts.style_request import StyleRequest
from shared.styles.gallery import Gallery
from stylizer.painting.bfloat16 import Bfloat16
from stylizer.painting.frames import Canvas, Frames, Painter
from stylizer.painting.interpolation import NotInterpolable, interpolate
from stylizer.painting.layouts import MULTIPLE, Layout
from stylizer.painting.precision import ChosenPrecision, find_lacking, network_file
from stylizer.painting.sessions import Device, Sessions

log = structlog.get_logger()

CORNER: Final[Canvas] = np.zeros((1, 2), np.int32)
"""The place of frames whose camera has not moved."""

_KEPT: Final = 24
"""Styles and blends that stay loaded. Memory does not suffice for all possible blends."""

_PASSING_KEPT: Final = 8
"""Steps of fades that stay loaded, since several lanes may paint chunks of the same fade."""


class Engine(Protocol):
    """Paints frames. Safe to call from several threads at once."""

    def paint(
        self, style: str, frames: Frames, canvas: Canvas = CORNER, *, passing: bool = False
    ) -> Frames:
        """Return the painted frames, same shape and type; ``style`` is a name or a blend.

        ``canvas`` has their place on the canvas, one for all or one for each. A ``passing`` blend
        is for a few frames: it is opened in the quickest way, and soon dropped.

        Raises:
            StyleError: the style is unknown or its file is not a style network.
        """

    def version(self, request: StyleRequest) -> str:
        """Return a digest of the networks that a request is painted with, in any precision.

        Raises:
            StyleError: one of its styles is unknown.
        """

    def find_style_changes(self) -> str | None:
        """Name the styles whose files have changed since the start; None if none has."""

    def trim(self) -> None:
        """Give host memory that no call is using back to the system; later calls take it anew."""

    @property
    def layout(self) -> Layout:
        """How frames lie in the arrays that `paint` takes and returns."""


class OnnxEngine:
    """Runs style networks (ONNX files); each is loaded once and kept while it is in use.

    ONNX Runtime runs them, or OpenVINO where ``precision`` is bfloat16.

    Raises:
        ConfigurationError: the device is not available, or a style lacks the precision.
    """

    def __init__(
        self,
        gallery: Gallery,
        device: Device,
        gpu_mem_limit_mib: int | None = None,
        precision: ChosenPrecision = "fp32",
        *,
        keep: int = _KEPT,
    ) -> None:
        self._gallery = gallery
        self.precision: Final = precision
        self._keep = keep
        self._runtime = Bfloat16() if precision == "bf16" else Sessions(device, gpu_mem_limit_mib)
        self._painters: OrderedDict[str, Painter] = OrderedDict()
        self._passing: OrderedDict[str, Painter] = OrderedDict()
        self._costly: set[str] = set()
        self._loading = threading.RLock()
        if lacking := find_lacking(gallery, precision):
            raise ConfigurationError(lacking)

    @property
    def loaded(self) -> frozenset[str]:
        """The styles and blends that are loaded now."""
        return frozenset(self._painters) | frozenset(self._passing)

    @property
    def layout(self) -> Layout:
        """How frames lie in arrays; see `Engine`."""
        return self._runtime.layout

    @property
    def styles(self) -> Collection[str]:
        """The names of the gallery's styles."""
        return self._gallery.styles

    def version(self, request: StyleRequest) -> str:
        """Return a digest of the networks that a request is painted with; see `Engine`."""
        return self._gallery.version(request)

    def find_style_changes(self) -> str | None:
        """Name the styles whose files have changed since the start; see `Engine`."""
        return self._gallery.find_changes()

    def trim(self) -> None:
        """Give host memory that no call is using back to the system; see `Engine`."""
        self._runtime.trim()

    def load(self, style: str) -> None:
        """Load a style before it is needed.

        Raises:
            ConfigurationError: the style is unknown or its file is not a style network.
        """
        try:
            self._painter(style)
        except StyleError as error:
            raise ConfigurationError([error.message]) from error

    def paint(
        self, style: str, frames: Frames, canvas: Canvas = CORNER, *, passing: bool = False
    ) -> Frames:
        """Return the painted frames; see `Engine`."""
        width, height = self.layout.size(frames.shape)
        if not height or height % MULTIPLE or not width or width % MULTIPLE:
            raise ValueError(f"{width}x{height} is not on the network's grid of {MULTIPLE} pixels")
        painted = self._painter(style, passing=passing)(frames, canvas)
        if painted.shape != frames.shape:
            raise StyleError(
                "NO_STYLE_NETWORK",
                f"style {style!r}: its network makes {painted.shape} of frames {frames.shape}",
            )
        return painted

    def _painter(self, style: str, *, passing: bool = False) -> Painter:
        painters, most = (self._passing, _PASSING_KEPT) if passing else (self._painters, self._keep)
        with self._loading:
            if style not in painters:
                painters[style] = self._open(style, passing=passing)
                if len(painters) > most:
                    painters.popitem(last=False)
            painters.move_to_end(style)
            return painters[style]

    def _open(self, style: str, *, passing: bool) -> Painter:
        portions = self._gallery.find_all(style)
        is_blend = len(portions) > 1
        percents = [percent for _, percent in portions]
        networks = [one.network(network_file(self.precision)) for one, _ in portions]
        try:
            network = interpolate(networks, percents) if is_blend else networks[0]
        except NotInterpolable as why:
            names = [one.name for one, _ in portions]
            self._warn_of_cost(names, style, str(why))
            return _mix([self._painter(name) for name in names], percents)
        if is_blend and passing:
            return self._runtime.passing_painter(style, network)
        painter = self._runtime.painter(style, network)
        loaded = "blend loaded" if is_blend else "style loaded"
        log.info(loaded, style=style, on=self._runtime.device, precision=self.precision)
        return painter

    def _warn_of_cost(self, names: list[str], style: str, cause: str) -> None:
        """Warn that a blend runs every network, once for all blends of the same styles."""
        if (named := ",".join(names)) not in self._costly:
            self._costly.add(named)
            log.warning("blend costs every network", style=style, cause=cause)


def _mix(painters: list[Painter], percents: list[int]) -> Painter:
    """Return a painter of the weighted mean of several painters' pictures."""

    def paint(frames: Frames, canvas: Canvas) -> Frames:
        total = np.full(frames.shape, WHOLE // 2, np.uint16)
        for painter, percent in zip(painters, percents, strict=True):
            total += np.multiply(painter(frames, canvas), percent, dtype=np.uint16)
        total //= WHOLE
        return total.astype(np.uint8)

    return paint
