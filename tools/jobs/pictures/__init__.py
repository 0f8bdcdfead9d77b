"""What ``tools.jobs.visualize`` draws: which images, what is written below them, which files, and their page."""
