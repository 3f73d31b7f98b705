"""Another process of the decoder's user, with a secret in its memory, until its input ends."""

from __future__ import annotations

import ctypes
import os
import sys

if os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
    # As it is in a process that never was another user's.
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)
SECRET = ctypes.create_string_buffer(b"secret")
print(ctypes.addressof(SECRET), flush=True)
sys.stdin.read()
