"""Files that a training writes into its folder: records, checkpoints, events."""
