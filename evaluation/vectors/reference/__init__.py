"""The published definitions as plain float64 loops: slow, and the reference for all fast code.

Nothing here uses the code under test; the only import from the evaluation is ``MatchRule``, which is data.
"""
