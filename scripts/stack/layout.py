"""How a Python process lies in memory: all that can be decided about it follows from a seed.

How a process happens to lie in memory makes it up to a percent slower or faster for as long as it lives: address space
randomisation, the order of hashes, and even the size of the environment, which moves the stack (Mytkowicz et al.,
"Producing wrong data without doing anything obviously wrong!", ASPLOS 2009). All of it is the same for both arms of a
round, where it cancels, and another one in the next round.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

ENVIRONMENT_BYTES = 16_384
FIXED = ("setarch", "linux64", "-R")
"""What starts a program without address space randomisation; util-linux and BusyBox both know it in this form."""


def lay_out(environment: Mapping[str, str], seed: int) -> dict[str, str]:
    """The environment with a hash seed, and of a size, that follow from ``seed``."""
    values = {**environment, "PYTHONHASHSEED": f"{seed % 2**32:010}", "LAYOUT": ""}
    size = ENVIRONMENT_BYTES + 16 * random.Random(seed).randrange(256)
    values["LAYOUT"] = "x" * (size - sum(len(f"{key}={value}") + 1 for key, value in values.items()))
    return values
