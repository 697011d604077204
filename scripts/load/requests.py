"""Requests of one block become its figures: counts, and a histogram of latency weighted by the window."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import compress
from math import log
from operator import mul

from scripts.model import Latency, Load

BUCKETS_PER_E = 1000
"""Buckets of the latency histogram for a factor e: a bucket is 0.1 % wide, a quantile at most 0.05 % off."""
SMALLEST_MS = 1e-3


class Requests:
    """Requests, gathered as they come; what is kept does not grow with their number."""

    def __init__(self, window: tuple[float, float]) -> None:
        self.window = window
        self.count = 0
        self.failures: Counter[str] = Counter()
        self.in_window = 0.0
        self.busy_s = 0.0
        self.last_end = window[0]
        self.weighted_ms = 0.0
        self.max_ms = 0.0
        self._histogram: defaultdict[int, float] = defaultdict(float)

    def add(self, ends_s: Sequence[float], durations_ms: Sequence[float], failure: str) -> None:
        """Requests that ended then (since the epoch), all well or all with the same ``failure``.

        A request counts with the share of its duration that lies in the window.
        """
        self.count += len(ends_s)
        self.last_end = max(self.last_end, *ends_s)
        if failure:
            self.failures[failure] += len(ends_s)
        begin, end = self.window
        if begin <= min(ends_s) - max(durations_ms) / 1000 and max(ends_s) < end:
            self._count(durations_ms, [1.0] * len(ends_s), failure)
            self.busy_s += math.fsum(durations_ms) / 1000
            return
        shares = []
        for end_s, duration_ms in zip(ends_s, durations_ms, strict=True):
            inside_s = max(0.0, min(end_s, end) - max(end_s - duration_ms / 1000, begin))
            self.busy_s += inside_s
            # A request that took no time lies inside or not.
            shares.append(min(1.0, 1000 * inside_s / duration_ms) if duration_ms else float(begin <= end_s < end))
        self._count(durations_ms, shares, failure)

    def _count(self, durations_ms: Sequence[float], shares: Sequence[float], failure: str) -> None:
        """Latencies are those of requests that did not fail."""
        if failure or not any(shares):
            return
        self.in_window += math.fsum(shares)
        self.weighted_ms += math.fsum(map(mul, shares, durations_ms))
        self.max_ms = max(self.max_ms, *compress(durations_ms, shares))
        histogram = self._histogram
        for duration_ms, share in zip(durations_ms, shares, strict=True):
            histogram[int(log(duration_ms / SMALLEST_MS) * BUCKETS_PER_E) if duration_ms > SMALLEST_MS else 0] += share

    def load(self, started: float, settle_s: float, window_s: float) -> Load:
        """The block's figures; ``started``: since the epoch."""
        return Load(
            settle_s=settle_s,
            window_s=window_s,
            load_s=self.last_end - started,
            requests=self.count,
            failed=self.failures.total(),
            failures=dict(self.failures),
            window_requests=self.in_window,
            throughput_rps=self.in_window / window_s,
            concurrency=self.busy_s / window_s,
            latency=self._latency(),
        )

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
        below, wanted = 0.0, share * math.fsum(self._histogram.values()) * (1 - 1e-12)
        for bucket in sorted(self._histogram):
            below += self._histogram[bucket]
            if below >= wanted:
                break
        return min(SMALLEST_MS * math.exp((bucket + 0.5) / BUCKETS_PER_E), self.max_ms)
