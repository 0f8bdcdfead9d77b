"""What is written of an experiment: its figures, tables, pictures and pages, and what of them is published."""
