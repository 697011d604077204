"""Recorded runs, where they lie, and what changed in them.

*Series*: one metric of one backend at one level over runs, in one environment or over the anchor. *Change*: a step
found in series, dated to a commit. *Event*: a note pinned to a commit by a person. A format of ``history/`` is
read and written only by the module named for it; files of runs by `scripts.records`.
"""
