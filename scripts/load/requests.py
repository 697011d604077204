"""Requests of one block become its figures: counts, and a histogram of latency weighted by the window."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import repeat

import numpy as np

from scripts.model import Latency, Load

CHUNK = 20_000
BUCKETS_PER_E = 1000
"""Buckets of the latency histogram for a factor e: a bucket is 0.1 % wide, a quantile at most 0.05 % off."""
SMALLEST_MS = 1e-3


class Requests:
    """Requests, gathered in chunks; what is kept does not grow with their number."""

    def __init__(self, window: tuple[float, float]) -> None:
        self.window = window
        self.count = 0
        self.failures: Counter[str] = Counter()
        self.in_window = 0.0
        self.busy_s = 0.0
        self.last_end = -np.inf
        self.weighted_ms = 0.0
        self.max_ms = 0.0
        self._histogram = np.zeros(0)
        self._ends: list[float] = []
        self._durations: list[float] = []
        self._good: list[bool] = []

    def add(self, ends_s: Sequence[float], durations_ms: Sequence[float], failure: str) -> None:
        """``ends_s``: since the epoch; ``failure``: why these failed, empty where they did not."""
        if failure:
            self.failures[failure] += len(ends_s)
        self._ends.extend(ends_s)
        self._durations.extend(durations_ms)
        self._good.extend(repeat(not failure, len(ends_s)))
        if len(self._ends) >= CHUNK:
            self._flush()

    def load(self, started: float, settle_s: float, window_s: float) -> Load:
        """The block's figures; ``started``: since the epoch."""
        self._flush()
        return Load(
            settle_s=settle_s,
            window_s=window_s,
            load_s=max(self.last_end, self.window[0]) - started,
            requests=self.count,
            failed=self.failures.total(),
            failures=dict(self.failures),
            window_requests=self.in_window,
            throughput_rps=self.in_window / window_s,
            concurrency=self.busy_s / window_s,
            latency=self._latency(),
        )

    def _flush(self) -> None:
        """Fold the chunk in. A request counts with the share of its duration that lies in the window."""
        if not self._ends:
            return
        ends, durations, good = np.array(self._ends), np.array(self._durations), np.array(self._good)
        for rows in (self._ends, self._durations, self._good):
            rows.clear()
        begin, end = self.window
        self.count += len(ends)
        self.last_end = max(self.last_end, float(ends.max()))
        overlap = np.maximum(np.minimum(ends, end) - np.maximum(ends - durations / 1000, begin), 0)
        self.busy_s += float(overlap.sum())
        latency = durations[good]
        inside = ((begin <= ends) & (ends < end))[good].astype(np.float64)
        # A request that took no time lies inside or not.
        share = np.divide(overlap[good], latency / 1000, out=inside, where=latency > 0).clip(max=1)
        self.in_window += float(share.sum())
        self.weighted_ms += float(share @ latency)
        if share.any():
            self.max_ms = max(self.max_ms, float(latency[share > 0].max()))
        buckets = np.floor(np.log(np.maximum(latency, SMALLEST_MS) / SMALLEST_MS) * BUCKETS_PER_E).astype(np.int64)
        counted = np.bincount(buckets, weights=share, minlength=len(self._histogram)).astype(np.float64)
        counted[: len(self._histogram)] += self._histogram
        self._histogram = counted

    def _latency(self) -> Latency | None:
        if self.in_window <= 0:
            return None
        return Latency(
            mean_ms=self.weighted_ms / self.in_window,
            p50_ms=self._quantile(0.50),
            p90_ms=self._quantile(0.90),
            p95_ms=self._quantile(0.95),
            p99_ms=self._quantile(0.99),
            max_ms=self.max_ms,
        )

    def _quantile(self, share: float) -> float:
        """The smallest bucket at or below which at least ``share`` of the weight lies, at its geometric middle."""
        cumulated = np.cumsum(self._histogram)
        bucket = int(np.searchsorted(cumulated, share * cumulated[-1] * (1 - 1e-12)))
        return min(SMALLEST_MS * float(np.exp((bucket + 0.5) / BUCKETS_PER_E)), self.max_ms)
