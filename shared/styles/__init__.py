"""Styles: what a user may ask for, and the gallery of networks that can answer."""
