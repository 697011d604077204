"""What a value that is read can be at all: outside of these it is refused, whoever wrote it, with its place named.

Bounds are far outside of what is meant: they keep what is computed from a number finite.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

Sha = Annotated[str, Meta(pattern=r"\A([0-9a-f]{40}|[0-9a-f]{64})?\Z")]
"""A full commit hash, SHA-1 or SHA-256; empty where something was measured outside a repository."""

Name = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")]
"""Of a backend: it becomes the name of files."""

LABEL_LENGTH = 100
Label = Annotated[str, Meta(min_length=1, max_length=LABEL_LENGTH)]

CpuList = Annotated[str, Meta(pattern=r"\A([0-9]{1,5}(-[0-9]{1,5})?(,[0-9]{1,5}(-[0-9]{1,5})?)*)?\Z")]
"""``0-1,4``; empty where processes were not pinned."""

MOST_USERS, MOST_TIMES = 1_000_000, 10_000
Users = Annotated[int, Meta(ge=1, le=MOST_USERS)]
Count = Annotated[int, Meta(ge=0, le=10**12)]
Times = Annotated[int, Meta(ge=1, le=MOST_TIMES)]
Seed = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Port = Annotated[int, Meta(ge=1, le=65_535)]
Ratio = Annotated[float, Meta(ge=0, le=1e9)]
"""Also a relative effect; `scripts.statistics.intervals.LARGEST` keeps our own far below the bound."""
Amount = Annotated[float, Meta(ge=0, le=1e12)]
Difference = Annotated[float, Meta(ge=-1e12, le=1e12)]
"""Between two readings of a counter, which a machine may show running backwards."""
Cpus = Annotated[float, Meta(ge=0, le=4096)]
Seconds = Annotated[float, Meta(ge=0, le=86_400)]
AtLeastASecond = Annotated[float, Meta(ge=1, le=86_400)]
Share = Annotated[float, Meta(gt=0, le=1)]
Probability = Annotated[float, Meta(gt=0, lt=1)]
