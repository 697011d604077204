/* What x is: time of measurement in seconds, or the order of commits, in which each has a place and its runs lie in 0.6
   around it. */
"use strict";

const benchAxis = (() => {
  const WHOLE = [1, 2, 5].flatMap((digit) => Array.from({ length: 7 }, (_, power) => digit * 10 ** power)).sort((a, b) => a - b); // steps of an order
  const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
  const dayOf = (seconds) => { const date = new Date(seconds * 1000); return `${date.getUTCDate()} ${months[date.getUTCMonth()]}`; };

  /** Times of an axis, in UTC, as coarse as their distance. */
  function times(splits, distance) {
    return splits.map((seconds, place) => {
      const date = new Date(seconds * 1000), clock = date.toISOString().slice(11, 16);
      if (distance >= 28 * 86400) return `${months[date.getUTCMonth()]} ${date.getUTCFullYear()}`;
      if (distance >= 86400) return dayOf(seconds);
      return place === 0 || clock === "00:00" ? `${dayOf(seconds)}\n${clock}` : clock;
    });
  }

  /** {ordered, when(run): seconds; at(run): its x; place(s) and time(x) go to and fro; least: the narrowest range; range: the
   * whole, or null for that of the points; texts(splits, distance): what the axis says}. */
  function of(runs, along, names) {
    if (along !== "committed") {
      return { ordered: false, when: (run) => runs.started[run], at: (run) => runs.started[run], place: (time) => time, time: (x) => x, least: 60, range: null, texts: times };
    }
    const known = []; // when the commit at each place was made
    runs.order.forEach((place, run) => { known[place] = runs.committed[run]; });
    const last = known.length - 1;
    const place = (time) => {
      let low = 0, high = known.length; // the first that is later
      while (low < high) { const middle = (low + high) >> 1; if (known[middle] <= time) low = middle + 1; else high = middle; }
      if (low === 0) return -0.5;
      return low > last ? last + (time > known[last] ? 0.5 : 0) : low - 1 + (time - known[low - 1]) / (known[low] - known[low - 1]);
    };
    const time = (x) => {
      if (x < 0 || x > last) return x < 0 ? known[0] - 1 : known[last] + 1;
      const before = Math.floor(x);
      return known[before] + (x - before) * ((known[before + 1] ?? known[before]) - known[before]);
    };
    const texts = (splits) => splits.map((x) => (Number.isInteger(x) && x in known ? `${names[x] || "no commit"}\n${dayOf(known[x])}` : ""));
    return { ordered: true, when: (run) => runs.committed[run], at: (run) => runs.order[run], place, time, least: 1, range: [-0.5, last + 0.5], texts };
  }

  /** By place of a commit: how many commits up to it could change the backend; those before it, and those with it. */
  function reachOf({ before, own }) {
    let sum = 0;
    const first = before.map((step) => { sum += step; return sum; });
    return { before: first, with: first.map((count, place) => count + own[place]) };
  }

  return { of, reachOf, WHOLE };
})();
