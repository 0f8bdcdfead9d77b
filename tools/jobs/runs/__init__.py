"""What a run folder says of itself, and to whom it belongs."""
