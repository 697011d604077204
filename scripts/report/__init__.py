"""One run in words and figures: the report, the terminal's table, and the artifacts of the published study.

*Standing*: who leads at a level, by the intervals. *Summary*: all of a run, level by level. *Contrast*: one run over
another. Nothing here measures or judges two versions; pages of the site use the same tables, figures and sentences.
"""
