"""Training networks and supernets: data, recipe and run folder joined, and what a training says of itself."""
