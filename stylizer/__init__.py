"""The stylizer: chunks of source frames in, chunks of painted frames out.

The path of a chunk: `loop` takes its event and fetches its blob; `attempts` decides where it is
painted and how often; `painting` decodes, paints and encodes it in overlapping threads, with the
network behind `painting.engine`; then the segment is written once and announced. Any instance may
die at any moment: the event is checkpointed only after the segment is announced.
"""
