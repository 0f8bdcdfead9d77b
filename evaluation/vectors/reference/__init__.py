"""The published definitions as plain float64 loops, one after another: slow, and what everything fast is held against.

Nothing here uses the code that it judges; of the evaluation it knows ``MatchRule`` alone, which is data.
"""
