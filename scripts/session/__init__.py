"""Measuring: sessions of one arm and of two, their blocks, and whether a block's numbers mean what they say.

*Block*: one uninterrupted load. *Round*: one pass over all blocks. *Validity*: that a block's numbers mean what they
say. *Disturbed*: others took CPU, so that the numbers are right but noisier. *Timetable*: how long all takes, and what
repeats and waiting may add. The recorder keeps the run whole on disk whatever happens. The stack and the generator are
used, not known.
"""
