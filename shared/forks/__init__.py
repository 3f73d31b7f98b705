"""One process that has loaded what others need, and the others as forks of it."""
