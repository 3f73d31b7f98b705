"""Checks, in the GPU image and without a GPU, that only the driver is missing.

Exit code 1 if another library is missing, or if a stylizer does not say so in one sentence.
"""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

import onnxruntime as ort

from shared.contracts.errors import ConfigurationError
from shared.styles.gallery import Gallery
from stylizer.painting.precision import choose

DRIVER = "libcuda.so.1"


def main() -> None:
    """Load every library of CUDA, and ask for CUDA."""
    ort.preload_dlls()
    site = Path(ort.__file__).parents[1]
    libraries = sorted(site.glob("nvidia/**/*.so*"))
    libraries += [site / "onnxruntime/capi/libonnxruntime_providers_cuda.so"]
    lacking = [said for library in libraries if (said := complaint(library))]
    print(f"cuda: {len(libraries) - len(lacking)} of {len(libraries)} libraries load")
    if other := [said for said in lacking if not said.startswith(f"{DRIVER}:")]:
        sys.exit("\n".join(other))
    try:
        choose("cuda", "auto", Gallery(), "starry-night")
    except ConfigurationError as error:
        print(f"cuda: {'; '.join(error.problems)}")
        if len(error.problems) != 1 or not lacking:
            sys.exit(1)
    else:
        sys.exit("cuda: it was not refused")


def complaint(library: Path) -> str:
    """Return what the loader says of a library; nothing if it loads."""
    try:
        ctypes.CDLL(str(library))
    except OSError as error:
        return str(error)
    return ""


if __name__ == "__main__":
    main()
