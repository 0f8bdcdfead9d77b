"""The whole experiment of a plan: its steps, their execution in slices of time, and their tables."""
