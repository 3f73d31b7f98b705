"""Styles: the gallery of networks that a request can name, and where they come from."""
