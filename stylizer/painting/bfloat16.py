"""Runs style networks in bfloat16, with OpenVINO, on processors that support it.

ONNX Runtime's own CPU provider computes in fp32 only. docs/adr/0010-bfloat16-on-cpus.md says why
OpenVINO is used directly instead of through its provider for ONNX Runtime.
"""

from __future__ import annotations

import re
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from shared.media.instructions import read_cpuinfo
from stylizer.painting.canvases import Drawn
from stylizer.painting.compiled import Compiled, IdleModels
from stylizer.painting.frames import Canvas, Frames, Painter
from stylizer.painting.layouts import RGB, Layout
from stylizer.painting.rounding import round_at_once
from stylizer.painting.sessions import Sessions

if TYPE_CHECKING:
    import openvino

# Where this package is installed, OpenVINO reports each import of itself to Google, from a fork of
# this process. OpenVINO works without it.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

_OPTIONS: Final = {
    "INFERENCE_PRECISION_HINT": "bf16",
    # One single-threaded model per lane: lanes already share out the cores.
    "NUM_STREAMS": "1",
    "INFERENCE_NUM_THREADS": "1",
    "ENABLE_CPU_PINNING": "NO",
}


_SIGNS: Final = ("avx512", "amx", "avx_ne_convert", "bf16")
"""Parts of the names of what a processor needs some of to compute in bfloat16, in Linux's words."""


def is_supported() -> bool:
    """Return whether OpenVINO is installed and this processor computes in bfloat16."""
    if find_spec("openvino") is None or not _may_compute():
        return False
    import openvino

    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _may_compute() -> bool:
    """Return False if Linux says already that OpenVINO, which costs 26 MiB to ask, would say no."""
    # Only x86 has a line of this name.
    flags = re.search("^flags.*", read_cpuinfo(), re.MULTILINE)
    return flags is None or any(sign in flags[0] for sign in _SIGNS)


class Bfloat16:
    """Makes painters that run fp32 networks in bfloat16; see `Sessions` for the networks.

    A network's canvas is drawn in fp32, by ONNX Runtime, once per size and place of frames.
    """

    device: Final = "cpu"
    layout: Final[Layout] = RGB

    def __init__(self) -> None:
        import openvino

        self._core = openvino.Core()
        self._idle_models = IdleModels()
        self._fp32 = Sessions("cpu", None)

    def painter(self, style: str, network: bytes) -> Painter:
        """Return a painter that runs ``network``. Safe to call from several threads.

        Raises:
            StyleError: it is not a style network.
        """
        self._fp32.open(style, network)  # raises unless it is a style network
        return self._fp32.paint_on_canvas(style, network, self._lanes)

    def _lanes(self, network: bytes) -> _Lanes:
        model = self._core.read_model(round_at_once(network), b"")
        return _Lanes(self._core, model, self._idle_models)

    def trim(self) -> None:
        """Drop idle models, each of which takes 0.1 s to compile again, and idle host memory."""
        self._idle_models.drop()
        self._fp32.trim()

    def passing_painter(self, style: str, network: bytes) -> Painter:
        """Return a painter for a few frames, which runs ``network`` in fp32.

        OpenVINO takes 100 ms to compile it and keeps 17 MiB for it at 640x360; ONNX Runtime takes
        13 ms to open it and keeps 2 MiB.
        """
        return self._fp32.passing_painter(style, network)


class _Lanes:
    """As many compiled copies of a model as are in use at once; idle ones are kept for reuse.

    One copy with several streams was seen to hang now and then when several threads called it. So
    each call has a copy to itself, compiled (in about 0.1 s) if none is idle.
    """

    def __init__(self, core: openvino.Core, model: openvino.Model, idle_models: IdleModels) -> None:
        self._core = core
        self._model = model
        self._idle_models = idle_models

    def __call__(self, frames: Frames, canvas: Canvas | Drawn) -> Frames:
        """Return the painted frames in an array of their own; ``canvas`` is the second input.

        Raises:
            RuntimeError: OpenVINO has failed, with or without an error of its own.
        """
        taken, kept = self._idle_models.take(self._model), None
        try:
            one = taken or self._compile()
            painted = self._infer(one.request, frames, canvas)
            one.pixels = max(one.pixels, frames.size // 3)
            kept = one  # a copy that has failed is not reused
        finally:
            self._idle_models.give_back(kept)
        return painted

    def _infer(
        self, request: openvino.InferRequest, frames: Frames, canvas: Canvas | Drawn
    ) -> Frames:
        # Out of memory, OpenVINO was seen to return with neither an error nor a picture. The
        # picture of the previous call would then be taken for this one's.
        request.set_output_tensor(_empty_output())
        # A model without a canvas has one input.
        given = dict(zip(range(len(self._model.inputs)), (frames, canvas), strict=False))
        painted: Frames = request.infer(given, share_inputs=True, share_outputs=True)[0]
        if not painted.size:
            raise RuntimeError("OpenVINO returned no picture, most likely for lack of memory")
        return painted

    def _compile(self) -> Compiled:
        compiled = self._core.compile_model(self._model, "CPU", _OPTIONS)
        return Compiled(self._model, compiled.create_infer_request())


def _empty_output() -> openvino.Tensor:
    """Return an empty output tensor, to be filled by inference."""
    import openvino

    return openvino.Tensor(openvino.Type.u8, openvino.Shape([0, 3, 0, 0]))
