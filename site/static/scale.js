/* What y is: as measured, from zero, by its logarithm, or in percent from the first. A scale changes numbers to where they
   are drawn (to) and back (from), and says where the axis has its marks. */
"use strict";

const benchScale = (() => {
  const LEAST = 0.05; // noise shall not look like a mountain: a figure spans at least so much of its values

  /** Numbers, each with as many digits as tell them apart. */
  const fixed = (digits) => (value) => value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  const digitsOf = (step) => Math.max(0, -Math.floor(Math.log10(step) + 1e-9));

  /** Round numbers between two, steps of 1, 2 or 5 times a power of ten, so many that `most` is not passed: [number, text]. */
  function round(low, high, most) {
    const power = 10 ** Math.floor(Math.log10((high - low) / most));
    const step = [1, 2, 5, 10, 20].map((factor) => factor * power).find((size) => size * most >= high - low);
    const text = fixed(digitsOf(step)), first = Math.ceil(low / step - 1e-9), marks = [];
    for (let place = first; place * step <= high + 1e-9 * step; place += 1) {
      const number = Number((place * step).toPrecision(12));
      marks.push([number, text(number === 0 ? 0 : number)]);
    }
    return marks;
  }

  /** 1, 2 and 5 times powers of ten, or the powers alone; over less than those, round numbers. */
  function decades(low, high, most) {
    for (const factors of [[1, 2, 5], [1]]) {
      const marks = [];
      for (let power = Math.floor(Math.log10(low)); 10 ** power <= high; power += 1) {
        for (const factor of factors) {
          const number = Number((factor * 10 ** power).toPrecision(12));
          if (number >= low && number <= high) marks.push([number, fixed(Math.max(0, -power))(number)]);
        }
      }
      if (marks.length < 3) return round(low, high, most);
      if (marks.length <= most) return marks;
    }
    return [];
  }

  /** Low and high with some air, and at least so much apart. */
  function airy(low, high, least) {
    const air = Math.max((high - low) * 0.08, (least - (high - low)) / 2);
    return [low - air, high + air];
  }

  const same = (value) => value;
  const wide = (low, high) => LEAST * Math.max(Math.abs(low), Math.abs(high)) || 1;
  const signed = (marks) => marks.map(([number, text]) => [number, number > 0 ? `+${text}` : text]);

  const kinds = {
    fitted: { to: same, from: same, range: (low, high) => airy(low, high, wide(low, high)), marks: round },
    zero: { to: same, from: same, range: (low, high) => [Math.min(low, 0), airy(Math.min(low, 0), Math.max(high, 0) || 1, 0)[1]], marks: round },
    log: {
      to: (value) => (value > 0 ? Math.log10(value) : null), from: (at) => 10 ** at,
      range: (low, high) => airy(low, high, Math.log10(1 + LEAST)),
      marks: (low, high, most) => decades(10 ** low, 10 ** high, most).map(([number, text]) => [Math.log10(number), text]),
    },
    percent: {
      to: (value, first) => (first > 0 ? 100 * (value / first - 1) : null), from: same,
      range: (low, high) => airy(low, high, 100 * LEAST), marks: (low, high, most) => signed(round(low, high, most)),
    },
  };

  return { kinds, round };
})();
