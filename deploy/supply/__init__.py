"""Pins everything that images are built from by hash or digest, and updates the pins."""
