"""The assembler: segments in, one finished video out.

The path of a job: `loop` takes its events, `completeness` says when the set of segments is
complete, `assembly` fetches them, `mux` joins them with the sound, `verify` checks frame by frame,
and the result is published.

The hub is the assembler's memory: a job's events are marked done only when the job has ended, so
that they come again after a restart and rebuild exactly the same state. The lag thereby shows an
autoscaler that jobs are open.
"""
