"""A user's view of the pipeline."""
