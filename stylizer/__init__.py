"""The stylizer: chunks of source frames in, chunks of painted frames out.

A chunk's way: `service` takes up its event and fetches its blob, `painting` decodes, paints and
encodes it in overlapping threads, `engine` is the network; then the segment is written once and
announced. Any instance may die at any moment: the event is checkpointed only after the segment is
announced.
"""
