"""Pictures of results, one kind a file. Each ``draw_*(data, path)`` writes a PNG and returns its path."""
