"""What the services say to each other: events, manifests, records, names and codes, without I/O.

Whoever writes another service against this pipeline needs this package and no other.
"""
