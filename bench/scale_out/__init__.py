"""Measures how the pipeline keeps up with many stylizers, on a machine that could not run them.

A simulated stylizer is the service itself with an engine that takes a fixed time for each frame and
leaves the pixels unchanged. Many of them run in one process. Everything else is real, and frames
are small, so that it measures what the pool shares: hubs, storage and the splitter.
"""
