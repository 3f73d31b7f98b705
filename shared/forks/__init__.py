"""A process that has loaded what others need, and the others as its forks."""
