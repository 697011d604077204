"""The generator: the only room that knows k6, its program, its options and its output.

Scenarios are in ``k6/``; this room runs them and makes a block's figures of what they write. Another generator would
change this room alone.
"""
