"""Checks a machine with a GPU: what it has, whether it paints correctly, and how fast.

It has a time limit, because such machines may be available only for minutes: results are written
after every step, a step takes no longer than the time left, and at the limit the process ends.
"""
