"""Sessions whose truth is known: the code with itself, and with itself made slower by a known amount.

*Campaign*: which sessions there are, which is next, what all of them say of the verdicts. *Certainty*: which way of
measuring gives most of it in a given time. Nothing is claimed that this room has not shown (``docs/calibration.md``).
"""
