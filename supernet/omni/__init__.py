"""Stages of OSNet's omni-scale blocks (Zhou et al. 2019, "Omni-Scale Feature Learning for Person Re-Identification"):
their values, choices, plain layers and elastic twins."""
