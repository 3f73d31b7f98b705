"""The pipeline's own video files, their encodings and pixels, and photos from elsewhere."""
