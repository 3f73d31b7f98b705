"""The one-machine stack: everything that stands in for Azure."""
