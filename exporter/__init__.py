"""The exporter: reports what no other service can while all pools are at zero."""
