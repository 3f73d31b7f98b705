"""The arena of host memory that all sessions of ONNX Runtime in this process share.

An arena keeps what it has taken from the system, for later calls. That is fast, but without limits:
a piece is never used for a larger picture than it was taken for, so that a larger one is taken
beside it. Hence a larger picture than before first gives back the pieces that are not in use.
"""

from __future__ import annotations

import ctypes
import functools
import sys
from typing import Final

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper

AS_REQUESTED: Final = 1
"""An arena grows by the size that is requested, not to the next power of two."""

_HEAPS: Final = 2
"""glibc's heaps. By default it has up to eight for each core, one per thread, and each keeps frames
that it has freed: 40 to 60 MiB more at 1920x1080, in the same processor time."""

_M_ARENA_MAX: Final = -8
"""glibc's name for the number of heaps."""

_IR_VERSION: Final = 8
_OPSET: Final = 17
_SHRINK: Final = "memory.enable_memory_arena_shrinkage"


class Arena:
    """An arena that grows with what is painted at once. Safe to use from several threads.

    With an arena of its own, each session would keep memory for its largest picture, and memory
    would grow with every style.
    """

    def __init__(self) -> None:
        _call_libc("mallopt", _M_ARENA_MAX, _HEAPS)
        pool = ort.OrtArenaCfg({"max_mem": 0, "arena_extend_strategy": AS_REQUESTED})
        place = ort.OrtMemoryInfo(
            "Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT
        )
        ort.create_and_register_allocator(place, pool)
        self._shrinking = ort.RunOptions()
        self._shrinking.add_run_config_entry(_SHRINK, "cpu:0")
        self._session = _smallest_session()
        self._largest = 0

    def prepare(self, size: int) -> None:
        """Trim before frames of more bytes than any since the last `trim`."""
        if size > self._largest:
            self.trim()
            self._largest = size

    def trim(self) -> None:
        """Give memory back that no call is using, including what C libraries have freed."""
        self._largest = 0
        # An arena is shrunk at the end of a call, whichever session's it is.
        self._session.run(None, {"given": np.zeros(1, np.uint8)}, self._shrinking)
        # glibc otherwise keeps freed frames of large videos.
        _call_libc("malloc_trim", 0)


@functools.cache
def shared_arena() -> Arena:
    """Return this process's arena, which is made on first use."""
    return Arena()


def _smallest_session() -> ort.InferenceSession:
    ends = [
        helper.make_tensor_value_info(name, TensorProto.UINT8, [1]) for name in ("given", "out")
    ]
    copy = helper.make_node("Identity", ["given"], ["out"])
    graph = helper.make_graph([copy], "smallest", ends[:1], ends[1:])
    opset = helper.make_opsetid("", _OPSET)
    model: onnx.ModelProto = helper.make_model(graph, opset_imports=[opset], ir_version=_IR_VERSION)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.use_env_allocators", "1")
    return ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def _call_libc(name: str, *args: int) -> None:
    """Call a function that glibc has; other C libraries do without it."""
    if sys.platform == "linux" and (function := getattr(ctypes.CDLL(None), name, None)):
        function(*args)
