"""What the services share: contracts, and thin adapters around the Azure SDKs.

This package imports no service; the services never import each other.
"""
