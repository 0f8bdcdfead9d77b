"""The jobs of ``tools/latency.py``: tables of this machine, kits for others."""
