"""What an arch scores: by one supernet, by several, and by what trainings of other archs have shown."""
