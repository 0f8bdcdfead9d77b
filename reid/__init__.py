"""Parts that every person re-identification model needs, searched or not: data, networks, losses, training loop."""
