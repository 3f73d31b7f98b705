"""How the pipeline keeps up with many stylizers, on a machine that could not run them.

A simulated stylizer is the service itself, but that its engine takes a fixed time for each frame
and leaves its pixels as they are. Many of them run in one process. Everything else is real, and
frames are small, so that what is measured is what the pool shares: hubs, storage, the splitter.
"""
