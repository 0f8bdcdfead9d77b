"""What stages are made of: layers that know of no arch, plain ones, and elastic ones that hold the largest weight."""
