"""The studio: the page on which people put videos in, watch them being painted, and take them away.

A service without a hub: it reads and writes blobs, keeps nothing that another instance would need,
and may be started and stopped at any time. ``python -m web``, configured by environment only.
"""
