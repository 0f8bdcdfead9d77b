"""What a search gained over chance, beside what space and recipe gave."""
