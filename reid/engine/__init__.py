"""The training loop shared by all networks: recipes, schedules, checkpoints, run folders, logging."""
