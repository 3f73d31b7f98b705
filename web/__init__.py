"""The studio: the page on which people upload videos, watch them being painted, and download them.

A service without a hub: it reads and writes blobs, keeps no state that another instance would need,
and may be started and stopped at any time. ``python -m web``, configured only by the environment.
"""
