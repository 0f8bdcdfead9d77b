"""What jobs say in words."""
