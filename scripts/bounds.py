"""What a value of a record can be at all; what lies outside is refused where it is decoded, with its place named."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"
"""The name of a backend or profile: it becomes part of paths, of containers' and accounts' names, and of lists."""
LABEL_LENGTH = 100

Name = Annotated[str, Meta(pattern=rf"\A{NAME}\Z")]
Label = Annotated[str, Meta(min_length=1, max_length=LABEL_LENGTH)]
Level = Annotated[int, Meta(ge=1, le=1_000_000)]
Count = Annotated[int, Meta(ge=0, le=1_000_000_000_000)]
Ratio = Annotated[float, Meta(ge=0, le=1_000_000_000)]
"""Also a relative effect; `scripts.stats.LARGEST` keeps our own far below the bound."""
Share = Annotated[float, Meta(gt=0, lt=1)]
Seconds = Annotated[float, Meta(ge=0, le=10_000_000)]
