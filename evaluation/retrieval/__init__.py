"""Ranks of right answers, and the scores computed from them."""
