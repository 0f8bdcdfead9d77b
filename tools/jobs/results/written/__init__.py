"""The written results of an experiment: figures, tables, pictures and pages, and the part that is published."""
