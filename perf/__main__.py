"""Benchmarks of the project's own parts. ``python -m perf`` lists them, ``python -m perf NAME --help`` explains one."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

BENCHMARKS = {
    "detect": "the change detector against others: what they find, what they raise falsely, how long it takes",
    "bisect": "a slow-down hidden among many commits, searched with real sessions",
    "site": "the site of a long history: time, memory, size, and the weight of its pages",
}


def main(arguments: Sequence[str]) -> int:
    """Dispatch to a benchmark."""
    if not arguments or arguments[0] not in BENCHMARKS:
        print("usage: nox -s perf -- NAME [--help]\n")
        print("\n".join(f"  {name:10} {what}" for name, what in BENCHMARKS.items()))
        return 0 if not arguments or arguments[0] in ("-h", "--help") else 2
    name, *rest = arguments
    return int(importlib.import_module(f"perf.{name}").main(rest))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
