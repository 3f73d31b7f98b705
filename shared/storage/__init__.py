"""Blob storage: accounts, blobs that are written once, digests and retries."""
