"""The whole experiment by a plan: which steps it has, how they are run in slices of time, and the tables of them."""
