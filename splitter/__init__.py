"""The splitter: an uploaded video in, chunks of frames out.

The path of a video: `intake.uploads` parses the BlobCreated event, `loop` opens the job, and
`job` runs a decoder in a sandboxed process (`decoder.process`). There, `media.source` opens the
upload, `media.normalise` converts each frame to the pipeline's one pixel format, `media.tracks`
copies the other tracks and `media.chunking` cuts chunks, which `shipping` stores and announces.
"""
