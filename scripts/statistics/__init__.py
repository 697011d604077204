"""Pure numbers: intervals, changes in a series, simulation, search. No I/O, no run, of this project `Struct` alone.

*Effect*: a log-ratio with its interval. *Prior*: what is known of how variances stand to each other. Whoever
changes a rule here changes what is said everywhere: `nox -s perf -- detect` and `nox -s calibrate` show by how much.
"""
