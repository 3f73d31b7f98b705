"""The style network behind one small interface, on ONNX Runtime.

`Engine` is all that the rest of the service knows; another runtime needs one class here.
"""

from __future__ import annotations

import threading
from typing import Any, Final, Literal, Protocol

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import structlog

from shared.errors import ConfigurationError, StyleError
from shared.styles.gallery import Gallery

log = structlog.get_logger()

Frames = npt.NDArray[np.uint8]
"""What the network takes and gives: (N, 3, H, W), planar RGB, H and W multiples of `MULTIPLE`."""

MULTIPLE: Final = 4

Device = Literal["cpu", "cuda", "tensorrt"]

_PROVIDERS: Final[dict[Device, list[str]]] = {
    "cpu": ["CPUExecutionProvider"],
    "cuda": ["CUDAExecutionProvider"],
    # TensorRT leaves what it cannot compile to CUDA, never to the CPU.
    "tensorrt": ["TensorrtExecutionProvider", "CUDAExecutionProvider"],
}


class Engine(Protocol):
    """Paints frames. Safe to call from several threads at once."""

    def paint(self, style: str, frames: Frames) -> Frames:
        """Return the painted frames, same shape and type.

        Raises:
            StyleError: the style is unknown or its file is no style network.
        """


class OnnxEngine:
    """Runs style networks with ONNX Runtime; each is loaded once and kept.

    On a CPU every call uses its caller's thread alone: N callers on N cores give the throughput
    of one N-threaded call, and are far steadier when the machine has other work.

    Raises:
        ConfigurationError: the device asked for is not there. Never a silent run on the CPU.
    """

    def __init__(
        self, gallery: Gallery, device: Device, gpu_mem_limit_mib: int | None = None
    ) -> None:
        self._gallery = gallery
        self._device = device
        self._gpu_mem_limit_mib = gpu_mem_limit_mib
        self._sessions: dict[str, ort.InferenceSession] = {}
        self._loading = threading.Lock()
        missing = [p for p in _PROVIDERS[device] if p not in ort.get_available_providers()]
        if missing:
            raise ConfigurationError(
                [
                    f"ENGINE={device}: this installation of ONNX Runtime has no {missing[0]}; "
                    "install the extra 'gpu' instead of 'cpu', or set ENGINE=cpu"
                ]
            )

    def load(self, style: str) -> None:
        """Load a style before it is needed."""
        self._session(style)

    def paint(self, style: str, frames: Frames) -> Frames:
        """Return the painted frames; see `Engine`."""
        session = self._session(style)
        painted: Frames = session.run(None, {session.get_inputs()[0].name: frames})[0]
        return painted

    def _session(self, style: str) -> ort.InferenceSession:
        with self._loading:
            if style not in self._sessions:
                self._sessions[style] = self._open(style)
            return self._sessions[style]

    def _open(self, style: str) -> ort.InferenceSession:
        network = self._gallery.find(style).network()
        try:
            session = ort.InferenceSession(network, self._options(), self._providers())
        except Exception as error:  # ONNX Runtime raises its own classes, without a common root
            if self._device != "cpu":
                raise ConfigurationError([f"ENGINE={self._device}: {error}"]) from error
            raise StyleError(
                "STYLE_UNREADABLE",
                f"style {style!r} is no network that ONNX Runtime reads: {error}",
            ) from error
        _check_signature(style, session)
        wanted = _PROVIDERS[self._device][0]
        if session.get_providers()[0] != wanted:
            raise ConfigurationError(
                [
                    f"ENGINE={self._device}: {wanted} did not start "
                    f"(ONNX Runtime offers {', '.join(session.get_providers())}); "
                    "check the GPU driver and the CUDA libraries"
                ]
            )
        log.info("style loaded", style=style, provider=session.get_providers()[0])
        return session

    def _options(self) -> ort.SessionOptions:
        options = ort.SessionOptions()
        options.log_severity_level = 3
        if self._device == "cpu":
            options.intra_op_num_threads = 1
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        else:
            options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        return options

    def _providers(self) -> list[str | tuple[str, dict[str, Any]]]:
        # The exhaustive search costs about a second for every new frame size, the heuristic 2 ms.
        cuda: dict[str, Any] = {
            "cudnn_conv_algo_search": "HEURISTIC",
            "arena_extend_strategy": "kSameAsRequested",
        }
        if self._gpu_mem_limit_mib:
            cuda["gpu_mem_limit"] = self._gpu_mem_limit_mib << 20
        return [
            (name, cuda) if name == "CUDAExecutionProvider" else name
            for name in _PROVIDERS[self._device]
        ]


def _check_signature(style: str, session: ort.InferenceSession) -> None:
    inputs, outputs = session.get_inputs(), session.get_outputs()
    for what, ends in (("input", inputs), ("output", outputs)):
        if len(ends) != 1 or ends[0].type != "tensor(uint8)" or len(ends[0].shape) != 4:  # noqa: PLR2004 - NCHW
            raise StyleError(
                "NO_STYLE_NETWORK",
                f"style {style!r}: its network must have one {what}, uint8 (N, 3, H, W)",
            )
