"""What a search gained over chance, beside what space and recipe gave; what inherited weights gain over fresh ones."""
