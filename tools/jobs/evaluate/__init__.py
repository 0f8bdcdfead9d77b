"""What is evaluated, on which data sets, by which protocol, and what is kept of it."""
