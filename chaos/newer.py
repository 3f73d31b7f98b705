"""A service of a later version: everything that it writes has a field unknown to this version.

python -m chaos.newer SERVICE
"""

from __future__ import annotations

import json
import runpy
import sys
from typing import Final

from shared.contracts.values import Value

_MORE: Final = {"since_a_later_version": {"numbers": [1, 2]}}

_encode = Value.to_json


def _encode_more(self: Value) -> bytes:
    return json.dumps(json.loads(_encode(self)) | _MORE, separators=(",", ":")).encode()


if __name__ == "__main__":
    Value.to_json = _encode_more  # type: ignore[method-assign]
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__")
