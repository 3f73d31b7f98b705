"""Convert high dynamic range and wide gamut pictures to ordinary BT.709.

A picture in PQ (SMPTE ST 2084) or HLG (ARIB STD-B67) is decoded to the light of a display, its
highlights are rolled off by the curve of ITU-R BT.2390 so that reference white (203 cd/m2, ITU-R
BT.2408) stays a bright white, colours that BT.709 cannot show are desaturated or dimmed just as
far as needed, and the light is encoded for an ordinary display (ITU-R BT.1886). This is computed
once per video, for a lattice of colours; FFmpeg interpolates between them, frame by frame.
"""

from __future__ import annotations

import struct
import tempfile
from dataclasses import dataclass
from enum import Enum
from typing import cast

import av
import numpy as np
from av.sidedata.sidedata import Type as SideDataType
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from numpy.typing import NDArray

from splitter.media.graphs import new_graph
from splitter.media.side_data import UnknownSideData, side_data_of

Colours = NDArray[np.float64]
"""Any number of colours: float, shape ``(..., 3)``, in the order R, G, B."""

REFERENCE_WHITE = 203.0
"""The luminance of diffuse white in an HDR picture, and of white in the result, in cd/m2."""

_LATTICE = 65
"""Colours along each edge of the lattice; a larger one gains less than a level on average."""

_USUAL_PEAK = 1000.0
_BRIGHTEST = 10000.0
_HLG_PEAK = 1000.0
_DISPLAY_GAMMA = 2.4


class Transfer(Enum):
    """How code values encode light."""

    PQ = "pq"
    HLG = "hlg"
    DISPLAY = "display"


class Gamut(Enum):
    """The red, green and blue primaries of a picture; the value is the matrix to BT.709.

    The matrices are those of ITU-R BT.2087 and of SMPTE EG 432-1's primaries, for linear light.
    """

    BT2020 = (
        (1.660491, -0.587641, -0.072850),
        (-0.124550, 1.132900, -0.008349),
        (-0.018151, -0.100579, 1.118730),
    )
    P3 = (
        (1.224940, -0.224940, 0.0),
        (-0.042057, 1.042057, 0.0),
        (-0.019638, -0.078636, 1.098274),
    )
    BT709 = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


@dataclass(frozen=True, slots=True)
class Look:
    """What must be known of a picture to convert it to BT.709; ``peak`` is in cd/m2."""

    transfer: Transfer
    gamut: Gamut
    peak: float


_GAMUTS = {
    ColorPrimaries.BT2020: Gamut.BT2020,
    ColorPrimaries.SMPTE431: Gamut.P3,
    ColorPrimaries.SMPTE432: Gamut.P3,
}


def look_of(frame: av.VideoFrame) -> Look | None:
    """Return how to convert a decoded frame to BT.709; None if a matrix product is enough."""
    gamut = _GAMUTS.get(cast("ColorPrimaries", frame.color_primaries))
    if frame.color_trc == ColorTrc.SMPTE2084:
        return Look(Transfer.PQ, gamut or Gamut.BT2020, _peak_of(frame))
    if frame.color_trc == ColorTrc.ARIB_STD_B67:
        return Look(Transfer.HLG, gamut or Gamut.BT2020, _HLG_PEAK)
    return None if gamut is None else Look(Transfer.DISPLAY, gamut, REFERENCE_WHITE)


class ToneMapper:
    """Convert the frames of one look, size and format."""

    def __init__(
        self, look: Look, frame: av.VideoFrame, size: tuple[int, int], target: str
    ) -> None:
        self._range = ColorRange.JPEG if frame.color_range == ColorRange.JPEG else ColorRange.MPEG
        quality = "flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp"
        limits = "pc" if self._range == ColorRange.JPEG else "tv"
        self._graph = graph = new_graph()
        with tempfile.NamedTemporaryFile("w", suffix=".cube") as cube:
            cube.write(_cube(look))
            cube.flush()
            graph.link_nodes(
                graph.add(
                    "buffer",
                    f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}"
                    f":time_base=1/1:colorspace=bt2020nc:range={limits}",
                ),
                graph.add("scale", f"{size[0]}:{size[1]}:{quality}:in_color_matrix=bt2020"),
                graph.add("format", "gbrp16le"),
                graph.add("lut3d", file=cube.name, interp="tetrahedral"),
                graph.add("scale", f"{quality}:out_color_matrix=bt709:out_range=tv"),
                graph.add("format", target),
                graph.add("buffersink"),
            ).configure(auto_buffer=False)

    def apply(self, frame: av.VideoFrame) -> av.VideoFrame:
        """Return the frame in BT.709 limited range, scaled to the target size."""
        frame.colorspace = Colorspace.BT2020
        frame.color_range = self._range
        self._graph.vpush(frame)
        return self._graph.vpull()


def to_bt709(codes: Colours, look: Look) -> Colours:
    """Map colours of a look, full range from 0 to 1, to BT.709 colours for an ordinary display."""
    light = _decode(codes, look) / REFERENCE_WHITE
    shown: Colours = _within_gamut(light @ np.array(look.gamut.value).T) ** (1 / _DISPLAY_GAMMA)
    return shown


def _decode(codes: Colours, look: Look) -> Colours:
    """Return the light of each colour in cd/m2, rolled off to reference white."""
    if look.transfer is Transfer.DISPLAY:
        return np.asarray(REFERENCE_WHITE * codes**_DISPLAY_GAMMA)
    light = _pq_light(codes) if look.transfer is Transfer.PQ else _hlg_light(codes)
    brightest = np.maximum(light.max(axis=-1, keepdims=True), 1e-6)
    return np.asarray(light * (_roll_off(brightest, look.peak) / brightest))


def _roll_off(light: Colours, peak: float) -> Colours:
    """Compress light up to ``peak`` to at most reference white (BT.2390, 5.4.1)."""
    if peak <= REFERENCE_WHITE:
        return np.minimum(light, REFERENCE_WHITE)
    top = _pq_code(np.array(peak))
    e1 = np.minimum(_pq_code(light) / top, 1.0)
    max_lum = _pq_code(np.array(REFERENCE_WHITE)) / top
    knee = 1.5 * max_lum - 0.5
    t = np.clip((e1 - knee) / (1 - knee), 0.0, 1.0)
    t2, t3 = t**2, t**3
    spline = (
        (2 * t3 - 3 * t2 + 1) * knee + (t3 - 2 * t2 + t) * (1 - knee) + (-2 * t3 + 3 * t2) * max_lum
    )
    return _pq_light(np.where(e1 < knee, e1, spline) * top)


def _within_gamut(light: Colours) -> Colours:
    """Bring colours between 0 and 1 without bleaching them.

    A colour with a component below 0 is mixed with as much grey of its luminance as needed. One
    with a component above 1 is dimmed instead, since grey would turn a bright orange into a pale
    pink. Greys are never above 1 here.
    """
    grey = np.clip(light @ np.array([0.2126, 0.7152, 0.0722]), 0.0, 1.0)[..., None]
    low = light.min(axis=-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        kept = np.nan_to_num(np.where(low < 0, grey / (grey - low), 1.0), nan=0.0)
    mixed = grey + (light - grey) * np.clip(kept, 0.0, 1.0)
    brightest = np.maximum(mixed.max(axis=-1, keepdims=True), 1.0)
    return np.asarray(np.clip(mixed / brightest, 0.0, 1.0))


def _pq_light(codes: Colours) -> Colours:
    """Decode SMPTE ST 2084 to cd/m2."""
    powered = np.clip(codes, 0.0, 1.0) ** (1 / 78.84375)
    ratio = np.maximum(powered - 0.8359375, 0.0) / (18.8515625 - 18.6875 * powered)
    light: Colours = _BRIGHTEST * ratio ** (1 / 0.1593017578125)
    return light


def _pq_code(light: Colours) -> Colours:
    """Encode cd/m2 in SMPTE ST 2084."""
    powered = (light / _BRIGHTEST) ** 0.1593017578125
    code: Colours = ((0.8359375 + 18.8515625 * powered) / (1 + 18.6875 * powered)) ** 78.84375
    return code


def _hlg_light(codes: Colours) -> Colours:
    """Decode ARIB STD-B67 to the light of a 1000 cd/m2 display (ITU-R BT.2100, table 5)."""
    a, b, c, middle = 0.17883277, 0.28466892, 0.55991073, 0.5
    scene = np.where(codes <= middle, codes**2 / 3, (np.exp((codes - c) / a) + b) / 12)
    luminance = scene @ np.array([0.2627, 0.6780, 0.0593])
    light: Colours = _HLG_PEAK * scene * np.maximum(luminance, 1e-9)[..., None] ** 0.2
    return light


def _cube(look: Look) -> str:
    """Return the lattice as a ``.cube`` file: red varies fastest, then green."""
    edge = np.linspace(0.0, 1.0, _LATTICE)
    blue, green, red = np.meshgrid(edge, edge, edge, indexing="ij")
    mapped = to_bt709(np.stack([red, green, blue], axis=-1), look).reshape(-1, 3)
    return f"LUT_3D_SIZE {_LATTICE}\n" + "%.6f %.6f %.6f\n" * len(mapped) % tuple(mapped.flat)


def _peak_of(frame: av.VideoFrame) -> float:
    """Return the picture's peak luminance by its metadata, in cd/m2."""
    try:
        mastering = side_data_of(frame, SideDataType.MASTERING_DISPLAY_METADATA)
        content = side_data_of(frame, SideDataType.CONTENT_LIGHT_LEVEL)
    except UnknownSideData:
        return _USUAL_PEAK
    peaks = []
    if mastering is not None:
        # AVMasteringDisplayMetadata: eight rationals of chromaticity, then the least and the
        # greatest luminance.
        _, _, numerator, denominator = struct.unpack_from("=4i", mastering, 64)
        peaks.append(numerator / denominator if denominator else 0.0)
    if content is not None:
        peaks.append(float(struct.unpack_from("=I", content)[0]))
    believable = [peak for peak in peaks if REFERENCE_WHITE <= peak <= _BRIGHTEST]
    return min(believable, default=_USUAL_PEAK)
