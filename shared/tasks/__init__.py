"""Waiting for several things at once, and work in rounds that never ends unnoticed."""
