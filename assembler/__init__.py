"""The assembler: segments in, one finished video out.

A job's way: `service` takes up its events, `completeness` says when the set is whole, `assembly`
fetches the segments, `mux` joins them with the sound, `verify` checks frame by frame, and the
result is published.

The hub is the assembler's memory: a job's events are marked done only when the job has ended, so
after a restart they come again and rebuild exactly the same state. The lag thereby tells an
autoscaler that jobs are open.
"""
