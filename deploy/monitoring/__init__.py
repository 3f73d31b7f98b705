"""Dashboards, rules and alerts as code, and their check against a running pipeline."""
