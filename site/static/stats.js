/* Numbers only: intervals of ratios, by the rules of scripts/statistics/intervals.py (a test compares the two). Touches no page. */
"use strict";

const benchStats = (() => {
  const FEW_ROUNDS = 6; // below it a level's own spread is too uncertain, and that of all levels is used

  /** P(|T| < t) for Student's t with a whole number of degrees of freedom, by theta = atan(t / sqrt(degrees)).
   *
   * Source: Abramowitz and Stegun, Handbook of Mathematical Functions (1964), 26.7.3 (odd) and 26.7.4 (even): finite
   * sums, so that nothing is approximated. */
  function centralProbability(theta, degrees) {
    const sine = Math.sin(theta), cosine = Math.cos(theta);
    const odd = degrees % 2 === 1;
    let term = odd ? cosine : 1, sum = degrees === 1 ? 0 : term;
    for (let k = odd ? 3 : 2; k <= degrees - 2; k += 2) {
      term *= ((k - 1) / k) * cosine * cosine;
      sum += term;
    }
    return odd ? (2 / Math.PI) * (theta + sine * sum) : sine * sum;
  }

  /** The t with P(|T| < t) = confidence, by bisection over theta to the last bit; degrees: a whole number from 1. */
  function reach(confidence, degrees) {
    if (!(confidence > 0 && confidence < 1)) throw new RangeError(`confidence must be between 0 and 1, not ${confidence}`);
    if (!(Number.isInteger(degrees) && degrees >= 1)) throw new RangeError(`degrees must be whole, from 1, not ${degrees}`);
    let low = 0, high = Math.PI / 2;
    for (;;) {
      const middle = (low + high) / 2;
      if (middle <= low || middle >= high) return Math.sqrt(degrees) * Math.tan(middle);
      if (centralProbability(middle, degrees) < confidence) low = middle;
      else high = middle;
    }
  }

  /** log(first / second) for each round that both have. Rounds are Maps from a round's number to a positive value. */
  function differences(first, second) {
    const found = [];
    for (const [round, value] of first) {
      if (!second.has(round)) continue;
      const other = second.get(round);
      if (!(value > 0 && other > 0 && isFinite(value) && isFinite(other))) {
        throw new RangeError("only positive, finite values have a ratio");
      }
      found.push(Math.log(value) - Math.log(other));
    }
    return found;
  }

  const sum = (values) => values.reduce((total, value) => total + value, 0);
  const mean = (values) => sum(values) / values.length;

  /** The ratio first / second at one level with a Student t interval, or null where no round has both.
   *
   * first, second: Maps from level to rounds. The rule, its assumptions and its sources: log_ratio_interval in
   * scripts/statistics/intervals.py. Gives {ratio, low, high, confidence, pairs, degrees}; low and high are null without a spread. */
  function logRatioInterval(first, second, level, confidence = 0.95) {
    const groups = new Map();
    for (const [key, rounds] of first) if (second.has(key)) groups.set(key, differences(rounds, second.get(key)));
    const own = groups.get(level) ?? [];
    if (!own.length) return null;
    const centre = mean(own), pairs = own.length;
    const pooled = pairs >= FEW_ROUNDS ? [own] : [...groups.values()].filter((group) => group.length);
    const degrees = sum(pooled.map((group) => group.length - 1));
    if (!degrees) return { ratio: Math.exp(centre), low: null, high: null, confidence, pairs, degrees };
    const squares = sum(pooled.map((group) => { const m = mean(group); return sum(group.map((d) => (d - m) ** 2)); }));
    const half = reach(confidence, degrees) * Math.sqrt(squares / degrees / pairs);
    return { ratio: Math.exp(centre), low: Math.exp(centre - half), high: Math.exp(centre + half), confidence, pairs, degrees };
  }

  const SESSION_SHARE = 0.018; // of scripts/statistics/spread.py
  const END = 700; // REPRESENTABLE of scripts/statistics/intervals.py

  /** A ratio whose logarithm has this standard error, and the interval that errs with probability `level`. */
  function estimate(centre, error, degrees, level) {
    if (!(degrees >= 1) || !(error > 0)) return { ratio: Math.exp(centre), low: null, high: null, degrees: 0 };
    const half = reach(1 - level, degrees) * error;
    return { ratio: Math.exp(centre), low: Math.exp(Math.max(centre - half, -END)), high: Math.exp(Math.min(centre + half, END)), degrees };
  }

  /** second / first, of sides measured apart: a logarithm for each run. `spread`: variance and degrees of freedom of a
   * run, from runs of one commit each (scripts/pages/repeats.py); without one there is no interval. */
  function apart(first, second, spread, level) {
    if (!first.length || !second.length) return null;
    const { variance, degrees } = spread ?? { variance: 0, degrees: 0 };
    return estimate(mean(second) - mean(first), Math.sqrt((variance ?? 0) * (1 / first.length + 1 / second.length)), degrees, level);
  }

  /** Candidate / baseline of one session or several, from the log ratio of each round: paired_effect of
   * scripts/statistics/intervals.py, without anything lent. One round gives no interval. */
  function together(rounds, level) {
    if (!rounds.length) return null;
    const centre = mean(rounds), degrees = rounds.length - 1;
    const variance = degrees ? sum(rounds.map((d) => (d - centre) ** 2)) / degrees : 0;
    return estimate(centre, Math.sqrt(variance * (1 / rounds.length + SESSION_SHARE)), degrees, level);
  }

  /** Whether the interval leaves out 1, that is, equality; null without an interval. */
  const separated = (found) => (found.low === null ? null : !(found.low <= 1 && 1 <= found.high));

  /** The geometric mean of positive values; null of none. */
  const geometricMean = (values) => (values.length ? Math.exp(mean(values.map(Math.log))) : null);

  return { FEW_ROUNDS, apart, geometricMean, logRatioInterval, mean, reach, separated, together };
})();
