"""The exporter: what nobody else can report while all pools are at zero."""
