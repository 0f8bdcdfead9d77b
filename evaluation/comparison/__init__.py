"""Results of several runs beside each other."""
