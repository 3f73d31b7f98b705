"""The check of a machine with a GPU: what it has, whether it paints right, and how fast.

Boxed by the clock, because such machines are had for minutes: results are written after every
step, a step takes no more than is left, and at the end of the box the process ends.
"""
