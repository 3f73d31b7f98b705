"""What a service reports about its work: logs, metrics and traces."""
