"""Arrow's arrays from their memory (Arrow columnar format, "Physical memory layout").

`pyarrow.array` would load pandas, which takes a second and 60 MB, to find out that it is given none of its objects.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa

from scripts.pages.published import Array


def numbers(values: Array, kind: Any = None) -> Any:
    """NaN is no value. ``kind``: what they are of, where that is not what numpy calls them."""
    missing = np.isnan(values)
    bitmap = pa.py_buffer(np.packbits(~missing, bitorder="little")) if missing.any() else None
    memory = pa.py_buffer(np.ascontiguousarray(values))
    return pa.Array.from_buffers(kind or pa.from_numpy_dtype(values.dtype), len(values), [bitmap, memory])


def names(places: Array, known: Iterable[str]) -> Any:
    """The names at some places of those that are known."""
    encoded = [name.encode() for name in known]
    ends = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
    texts = pa.StringArray.from_buffers(len(encoded), pa.py_buffer(ends), pa.py_buffer(b"".join(encoded)))
    return pa.DictionaryArray.from_arrays(numbers(places), texts)
