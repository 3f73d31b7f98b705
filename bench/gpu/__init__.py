"""Checks a machine with a GPU: what it has, whether it paints correctly, and how fast.

It has a time limit, because such machines may be available only for minutes. Every step is a
process of its own, which ends at the step's limit: a driver that hangs or crashes costs one step.
Results are written as soon as they exist.
"""
