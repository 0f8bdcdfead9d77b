"""Gains of a search over chance, of its space and of the recipe; gains of inherited weights over fresh ones."""
