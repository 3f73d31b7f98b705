"""Opens networks with ONNX Runtime, on the device that was asked for and on no other."""

from __future__ import annotations

import contextlib
import functools
import re
import sys
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any, Final, Literal

import onnxruntime as ort

from shared.contracts.errors import ConfigurationError, StyleError
from shared.media.nvidia import driver_cuda
from stylizer.painting.arena import AS_REQUESTED, shared_arena
from stylizer.painting.bound import BoundPainter
from stylizer.painting.canvas_split import split
from stylizer.painting.canvases import Canvases
from stylizer.painting.cuda_runtime import runtime_library, wait_without_spinning
from stylizer.painting.frames import Painter
from stylizer.painting.gpu_network import for_gpu
from stylizer.painting.layouts import I420, RGB, Layout
from stylizer.painting.pinned import PinnedMemory
from stylizer.painting.sized import PaintOn, SizedPainter, run

Device = Literal["cpu", "cuda", "tensorrt"]

Search = Literal["HEURISTIC", "DEFAULT"]
"""How convolution kernels are searched for; those that an exhaustive search finds are slower."""

_PROVIDERS: Final[dict[Device, list[str]]] = {
    "cpu": ["CPUExecutionProvider"],
    "cuda": ["CUDAExecutionProvider"],
    # TensorRT leaves what it cannot compile to CUDA, never to the CPU. Its cache of engines stays
    # off: ONNX Runtime names its files after a network's steps, which all styles have in common.
    "tensorrt": ["TensorrtExecutionProvider", "CUDAExecutionProvider"],
}
_GPU: Final = "cuda"
"""The device on which ONNX Runtime places frames."""

_UNINFORMATIVE_ERRORS: Final = ("assigned to the default CPU EP", "CUDA Provider not available")
"""What ONNX Runtime says when CUDA did not start, which does not name the cause."""

_NO_TENSORRT: Final = "TensorRT libraries"
"""Part of what it says when it cannot load TensorRT."""

_INTERNALS: Final = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : |/\S+:\d+ .*?\) (?=[A-Z])")
"""A code, or a function's place and signature, in ONNX Runtime's messages."""

_LIBRARY_FAILURE: Final = re.compile(r"\bCU\w+ failure \d+: [^;]+")
"""An error of CUDA or cuDNN, among the place where it arose."""

_COMPLAINT_LENGTH: Final = 300

_CHANNELS: Final = 3
_ANY_SIZE: Final[Mapping[str, int]] = {}
_CUDA_OPTIONS: Final = {
    # Tensor cores read channels last: 489 frames/s of 1920x1080 in fp16, against 431 without.
    "prefer_nhwc": "1",
    # TF32 keeps only ten bits of each factor's mantissa; fp32 is for those who want them all.
    "use_tf32": "0",
}


class Sessions:
    """Makes sessions of networks, each with one uint8 input and output (N, 3, H, W) of any size.

    An optional second input, ``canvas``, int32 (N, 2), has the places of frames on the canvas.

    On a CPU every call uses only its caller's thread: N callers on N cores give the throughput of
    one N-threaded call, and are far steadier when the machine has other work.

    Raises:
        ConfigurationError: the device is not available; there is no silent fallback to the CPU.
    """

    def __init__(self, device: Device, gpu_mem_limit_mib: int | None) -> None:
        self.device: Final = device
        self._gpu_mem_limit_mib = gpu_mem_limit_mib
        if problem := find_device_problem(device):
            raise ConfigurationError([problem])
        if device != "cpu":
            _load_cuda()
        self.layout: Final[Layout] = RGB if device == "cpu" else _planes()
        self._canvases = Canvases()

    def painter(self, style: str, network: bytes) -> Painter:
        """Return a painter that runs ``network``.

        Raises:
            StyleError: it is not a style network.
            ConfigurationError: the device does not start.
        """
        if self.device != "cpu":
            return self._gpu_painter(style, network, "HEURISTIC")
        self.open(style, network)  # raises unless it is a style network
        return self.paint_on_canvas(style, network, lambda part: self._sized(style, part))

    def _sized(self, style: str, network: bytes) -> SizedPainter:
        return SizedPainter(network, lambda sizes: self.start(style, network, sizes=sizes))

    def paint_on_canvas(
        self, style: str, network: bytes, make: Callable[[bytes], PaintOn]
    ) -> Painter:
        """Return a painter whose canvas is drawn once per size and place of frames, in fp32.

        ``make`` returns what runs the rest of the network, or all of one that cannot be split.
        """
        parts = split(network)
        if parts is None:
            return make(network)
        drawing, paint = parts.drawing, make(parts.painting)
        draw = self._canvases.drawer(drawing, lambda: self.start(style, drawing))
        return lambda frames, canvas: paint(frames, draw(frames, canvas))

    def _gpu_painter(self, style: str, network: bytes, search: Search) -> Painter:
        Sessions("cpu", None).open(style, network)  # raises unless it is a style network
        planes = for_gpu(network)
        assert isinstance(self.layout, I420)
        return BoundPainter(lambda: self.start(style, planes, search), _GPU, self.layout.memory)

    def passing_painter(self, style: str, network: bytes) -> Painter:
        """Return a painter for a few frames, which runs ``network``; see `painter`.

        On a CPU its canvas is not separated, which would take 10 ms, and its session is for frames
        of any size. On a GPU the first kernels that fit are taken: finding them takes 0.2 s instead
        of 2 s, and eight frames of 1920x1080 take 0.2 s longer.
        """
        if self.device == "cpu":
            session = self.open(style, network)
            return lambda frames, canvas: run(session, frames, canvas)
        return self._gpu_painter(style, network, "DEFAULT")

    def trim(self) -> None:
        """Give idle host memory back to the system; on a GPU, none of it is kept in an arena."""
        if self.device == "cpu":
            shared_arena().trim()

    def open(self, style: str, network: bytes) -> ort.InferenceSession:
        """Return a session of the network of ``style``.

        Raises:
            StyleError: it is not a style network.
            ConfigurationError: the device does not start.
        """
        session = self.start(style, network)
        _check_signature(style, session)
        return session

    def start(
        self,
        style: str,
        network: bytes,
        search: Search = "HEURISTIC",
        sizes: Mapping[str, int] = _ANY_SIZE,
    ) -> ort.InferenceSession:
        """Return a session, as `open` does, of a network with any inputs and outputs.

        ``sizes`` fixes free dimensions by name.

        Raises:
            StyleError: ONNX Runtime cannot read it.
            ConfigurationError: the device does not start.
        """
        options = self._options()
        for name, length in sizes.items():
            options.add_free_dimension_override_by_name(name, length)
        try:
            # Its own fallback would print on standard output, and hide the cause.
            session = ort.InferenceSession(
                network, options, self._providers(search), enable_fallback=0
            )
        except Exception as error:  # ONNX Runtime raises its own classes, without a common root
            if self.device != "cpu":
                raise ConfigurationError([self._not_started(complaint(error))]) from error
            raise StyleError(
                "STYLE_UNREADABLE",
                f"style {style!r} is not a network that ONNX Runtime reads: {complaint(error)}",
            ) from error
        if session.get_providers()[0] != _PROVIDERS[self.device][0]:
            raise ConfigurationError([self._not_started("")])
        return session

    def _not_started(self, cause: str) -> str:
        if _NO_TENSORRT in cause:
            return (
                f"ENGINE={self.device}: TensorRT's libraries were not found; install them "
                "(docs/gpu.md), or set ENGINE=cuda"
            )
        informative = cause and not any(words in cause for words in _UNINFORMATIVE_ERRORS)
        why = f" ({cause})" if informative else ""
        return (
            f"ENGINE={self.device}: {_PROVIDERS[self.device][0]} did not start{why}; "
            "check with nvidia-smi that the driver sees the GPU, "
            "and that CUDA's libraries are there, or set ENGINE=cpu"
        )

    def _options(self) -> ort.SessionOptions:
        options = ort.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.use_env_allocators", "1")
        if self.device == "cpu":
            shared_arena()
            # A pattern is one piece of memory for all tensors, which no other shape can use.
            options.enable_mem_pattern = False
        else:
            try:
                _share_gpu_memory(self._gpu_mem_limit_mib)
            except Exception as error:
                raise ConfigurationError([self._not_started(complaint(error))]) from error
            # What cuDNN cannot fuse is logged as an error, although it is then done another way.
            options.log_severity_level = 4
        if "CPUExecutionProvider" not in _PROVIDERS[self.device]:
            options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        return options

    def _providers(self, search: Search) -> list[str | tuple[str, dict[str, Any]]]:
        return [
            (name, {**_CUDA_OPTIONS, "cudnn_conv_algo_search": search})
            if name == "CUDAExecutionProvider"
            else name
            for name in _PROVIDERS[self.device]
        ]


def find_device_problem(device: Device) -> str | None:
    """Return why a device cannot work, as far as that shows without starting it, or None."""
    missing = [name for name in _PROVIDERS[device] if name not in ort.get_available_providers()]
    if missing:
        return (
            f"ENGINE={device}: this installation of ONNX Runtime lacks {missing[0]}; "
            "install the one for NVIDIA's GPUs (scripts/setup --gpu), or set "
            "ENGINE=cpu or ENGINE=auto"
        )
    if device == "cpu":
        return None
    supported = driver_cuda()
    if supported is None:
        return (
            f"ENGINE={device}: NVIDIA's driver was not found; install it, start "
            "a container with NVIDIA's toolkit (docker run --gpus all), or set "
            "ENGINE=cpu"
        )
    needed = str(getattr(ort, "cuda_version", ""))
    if needed and supported[0] < int(needed.split(".", maxsplit=1)[0]):
        return (
            f"ENGINE={device}: NVIDIA's driver supports CUDA {supported[0]}.{supported[1]}, and "
            f"ONNX Runtime was built for CUDA {needed}; install a newer driver (docs/gpu.md), "
            "or set ENGINE=cpu"
        )
    return None


@functools.cache
def _load_cuda() -> None:
    """Load NVIDIA's libraries from their Python packages, which images and set-ups for GPUs have.

    Without these packages, ONNX Runtime looks for the system's libraries.
    """
    if find_spec("nvidia") is not None and hasattr(ort, "preload_dlls"):
        # It prints what it does not find.
        with contextlib.redirect_stdout(sys.stderr):
            ort.preload_dlls()
    wait_without_spinning(runtime_library())


@functools.cache
def _planes() -> I420:
    """Return the layout of frames for a GPU; all sessions of this process share its memory."""
    return I420(PinnedMemory(runtime_library()))


@functools.cache
def _share_gpu_memory(limit_mib: int | None) -> None:
    """Make all sessions of this process share one arena of the GPU's memory, up to a limit."""
    most = limit_mib << 20 if limit_mib else 0
    pool = ort.OrtArenaCfg({"max_mem": most, "arena_extend_strategy": AS_REQUESTED})
    place = ort.OrtMemoryInfo(
        "Cuda", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT
    )
    ort.create_and_register_allocator_v2("CUDAExecutionProvider", place, {}, pool)


def _check_signature(style: str, session: ort.InferenceSession) -> None:
    inputs = session.get_inputs()
    if len(inputs) > 1 and _takes_places(inputs[1]):
        inputs = inputs[:1] + inputs[2:]
    for what, ends in (("input", inputs), ("output", session.get_outputs())):
        if len(ends) != 1 or not _takes_pictures(ends[0].type, ends[0].shape):
            found = ", ".join(f"{end.name} {end.type} {end.shape}" for end in ends)
            raise StyleError(
                "NO_STYLE_NETWORK",
                f"style {style!r}: its network must have one {what}, uint8 (N, 3, H, W) with free "
                f"N, H and W, and has {found or 'none'}",
            )


def complaint(error: Exception) -> str:
    """Return the cause that ONNX Runtime names, in one line, without where in its source it was."""
    said = " ".join(str(error).split())
    if failure := _LIBRARY_FAILURE.search(said):
        return failure[0].strip()
    said = _INTERNALS.sub("", said).rstrip(".")
    return said if len(said) <= _COMPLAINT_LENGTH else f"{said[:_COMPLAINT_LENGTH]} ..."


def _takes_places(given: ort.NodeArg) -> bool:
    return (given.name, given.type, given.shape[1:]) == ("canvas", "tensor(int32)", [2])


def _takes_pictures(element: str, shape: list[int | str | None]) -> bool:
    """Return whether an input or output holds any number of RGB pictures of any size.

    ONNX Runtime gives a free dimension as its name or as None.
    """
    match shape:
        case [number, channels, height, width]:
            free = not any(isinstance(side, int) for side in (number, height, width))
            return element == "tensor(uint8)" and free and channels in (_CHANNELS, None)
        case _:
            return False
