"""Two versions judged, in data and in words.

*Verdict*: what a paired session says: regression, improvement, no change, inconclusive, or invalid. *Decision*: what
one verdict, or two of different machines, mean for a change. *Noise*: what calibration knows of how rounds spread.
"""
