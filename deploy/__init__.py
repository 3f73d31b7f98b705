"""What deploys the pipeline, and the checks and generated files beside it."""
