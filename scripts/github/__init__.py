"""GitHub: its interface, what a hosted runner tells a step, hostile artifacts, alerts as issues.

Whatever comes from a pull request is data that others wrote: `artifact` refuses what is not whole, and nothing of it
is ever run. Words that go to GitHub are escaped by `scripts.escape`.
"""
