"""The splitter: an uploaded video in, chunks of frames out.

A video's way: `uploads` understands the BlobCreated event, `service` opens the job and publishes
what comes, `child` runs the decoder in a process of its own (`sandbox`), which opens the source
(`source`), brings each frame into the pipeline's one form (`normalise`), copies the other tracks
(`tracks`) and cuts chunks (`split`).
"""
