"""The studio's HTTP API: what the page uses, and what programs may use as well."""
