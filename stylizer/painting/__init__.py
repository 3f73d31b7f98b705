"""From a chunk to a segment: networks, frames and codecs, without Azure."""
