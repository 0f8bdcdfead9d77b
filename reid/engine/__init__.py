"""The one training loop of every network: recipes, schedules, checkpoints, run folders, logging."""
