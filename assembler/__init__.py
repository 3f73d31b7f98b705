"""The assembler: segments in, one finished video out.

The path of a job: `loop` takes its events, `drafts` begin its result as segments arrive, and
`completeness` says when there are all. Then `conclusion` ends it: `assembly` fetches the segments
unless there is a draft, `mux` joins them with the sound, `verify` checks frame by frame,
`publication` publishes the result and `cleanup` deletes the rest.

The hub is the assembler's memory: a job's events are marked done only when the job has ended, so
that they come again after a restart and rebuild exactly the same state. The lag thereby shows an
autoscaler that jobs are open.
"""
