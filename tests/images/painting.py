"""Paints a test frame on the processor, in an image, and checks that nobody is notified.

Exit code 1 if a package is installed that reports to others; a wrong picture is an error.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec

from shared.styles.gallery import Gallery
from stylizer.painting.precision import choose

if find_spec("openvino_telemetry"):
    sys.exit("painting: openvino_telemetry is installed; see requirements/excluded.txt")
device, precision, _ = choose("cpu", "auto", Gallery(), "starry-night")
print(f"painting: on {device} in {precision}")
