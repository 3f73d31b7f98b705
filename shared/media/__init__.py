"""The pipeline's own video files: chunks and segments, their encodings and their pixels."""
