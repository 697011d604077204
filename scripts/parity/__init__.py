"""Proof of equal work: what a request of each backend does, and where it differs from the contract (apps/README.md).

*Trace*: statements, files and answers of one request as database server and file system saw them. *Statement*: in
canonical form, so that two ORMs that ask for the same say the same. *Contract*: what a trace must be.
"""
