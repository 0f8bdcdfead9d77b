"""Rules, one small pure function per trouble: ``(records, facts)`` to what the last record shows, or ``None``."""
