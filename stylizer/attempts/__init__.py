"""Who paints a chunk, where, and how often it is tried."""
