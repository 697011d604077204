"""The verbs: one file for each step, with the name of its nox session.

Each has its arguments, its order of work and its exit code, and nothing that another step could want: no step imports a
step. ``scripts.__main__`` dispatches to them in pipeline order. A step may be changed without looking elsewhere.
"""
