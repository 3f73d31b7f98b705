"""The contracts between the services: events, manifests, records, names and codes. No I/O.

Another service that joins the pipeline needs this package and no other.
"""
