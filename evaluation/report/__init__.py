"""Report pages: one HTML file with everything in it."""
