"""Latency of another machine: a folder with networks and a program that measures them there, and the import of times.

``measure.py`` is that program. It is copied unchanged, so it imports nothing from this repository; measurements on this
machine use its functions (turns, clock, session). Files here import from one another, so this one re-exports nothing.
"""
