"""What is trained: tasks, which turn a batch into a gradient, their loss, and the teachers that they learn from."""
