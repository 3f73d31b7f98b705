"""The studio's HTTP API, for the page and for programs."""
