"""What a trained network is worth: features, scores, comparison tables, pictures, report pages."""
