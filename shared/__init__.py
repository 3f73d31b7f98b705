"""What the services share: contracts, and thin adapters around the Azure SDKs.

This package imports none of the services, and the services never import each other.
"""
