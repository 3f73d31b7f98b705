"""How the pools scale: the autoscaler's own arithmetic, and a simulation of days under load."""
