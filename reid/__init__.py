"""What every person re-identification model needs, searched or not: data, networks, losses, the training loop."""
