"""Event Hubs: consuming events with checkpoints of what is finished, and publishing them."""
