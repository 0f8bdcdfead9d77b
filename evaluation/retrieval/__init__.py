"""Ranks of right answers, and the scores that are made of them."""
