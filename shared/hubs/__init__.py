"""Event Hubs: events in, in the order of their checkpoints, and events out."""
