"""Latency of another machine: a folder of networks and a program that measures them there, and times read back.

``measure.py`` is that program. It goes into the folder as it is, so it imports nothing of this repository; the
measurements on this machine take their rule (turns, clock, session) from it. Files here import from one another, so
nothing is gathered in this one.
"""
