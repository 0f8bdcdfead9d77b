"""What a training leaves in its folder: records, checkpoints, events."""
