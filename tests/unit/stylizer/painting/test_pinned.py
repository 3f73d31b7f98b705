"""Page-locked memory: used again, given back, and done without. Memory is locked by the C library
here, as no machine that runs this test has CUDA's.
"""

from __future__ import annotations

import ctypes
import gc

import numpy as np

from stylizer.painting.pinned import PinnedMemory

PAGE = 4096


class CLibrary:
    """Allocates like CUDA's runtime, until ``left`` blocks are handed out."""

    def __init__(self, left: int = 100) -> None:
        self.left = left
        self.held: set[int] = set()
        self._c = ctypes.CDLL(None)

    def cudaHostAlloc(self, address: ctypes.c_void_p, size: object, _flags: object) -> int:  # noqa: N802
        if self.left == 0:
            return 2
        self.left -= 1
        code: int = self._c.posix_memalign(address, ctypes.c_size_t(PAGE), size)
        self.held.add(address._obj.value)  # type: ignore[attr-defined]
        return code

    def cudaFreeHost(self, address: ctypes.c_void_p) -> int:  # noqa: N802
        assert address.value is not None
        self.held.remove(address.value)
        self._c.free(address)
        return 0

    def cudaSetDeviceFlags(self, _flags: object) -> int:  # noqa: N802
        return 0


def test_an_arrays_memory_is_reused_once_its_last_view_is_gone() -> None:
    library = CLibrary()
    memory = PinnedMemory(library)
    array = memory((2, 3, 8, 8))
    array[:] = 7
    view, address = array[1:], array.ctypes.data
    del array
    gc.collect()
    other = memory((2, 3, 8, 8))
    assert other.ctypes.data != address
    assert (view == 7).all()
    del view
    gc.collect()
    assert memory((2, 3, 8, 8)).ctypes.data == address
    assert len(library.held) == 2


def test_idle_memory_of_one_size_is_given_back_for_another() -> None:
    library = CLibrary()
    memory = PinnedMemory(library)
    memory((4, 4))
    gc.collect()
    used = memory((5, 5))
    assert library.held == {used.ctypes.data}


def test_frames_are_in_ordinary_memory_if_none_can_be_locked() -> None:
    for memory in (PinnedMemory(None), PinnedMemory(CLibrary(left=0))):
        array = memory((2, 6, 4))
        array[:] = 1
        assert (array.dtype, array.shape, array.sum()) == (np.uint8, (2, 6, 4), 48)
