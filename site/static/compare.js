/* The compare page: two runs, or two commits, from the address; their ratios by benchStats; in the words of the reports. */
"use strict";

(() => {
  const { count, element, moment, plain, row, table } = benchText;
  const { apart, mean, separated, together } = benchStats;
  const MOST = 20; // runs of a commit that are compared
  const OFFERED = 300; // runs in the list of the inputs
  const SUMMED_UP = ["throughput_rps", "cpu_ms_per_request", "database_cpu_ms_per_request"]; // SHOWN of scripts/report/contrast.py
  const form = document.getElementById("sides"), state = document.getElementById("state"), result = document.getElementById("result");

  const RUN_ID = /^\d{8}T\d{6}Z-([0-9a-f]{7,40}|nocommit)-[0-9A-Za-z.]+$/; // as in scripts/history/store.py

  // --- from what the reader names to two sides, each an arm of a run

  /** Refuses with a sentence for the reader. */
  class Refusal extends Error {}

  /** What is named: runs, newest first, and the commit where it is one. */
  async function find(name) {
    if (RUN_ID.test(name)) {
      const { baseline, fingerprint, profile } = await loadRun(name);
      const levels = [...new Set(profile.levels)].sort((one, two) => one - two);
      return { runs: [{ id: name, baseline: baseline?.sha ?? null, environment: fingerprint, levels }], commit: null };
    }
    const hash = name.toLowerCase();
    if (!/^[0-9a-f]{4,40}$/.test(hash)) throw new Refusal(`There is no run “${plain(name)}”, and a commit is 4 to 40 hexadecimal digits.`);
    const shard = `commits/${hash.slice(0, 2)}`, { paths } = await benchLoad("index");
    const known = paths.commits.includes(`${shard}.json`) ? await benchLoad(shard) : {};
    const commits = Object.keys(known).filter((sha) => sha.startsWith(hash));
    if (!commits.length) throw new Refusal(`No run has measured a commit ${hash}.`);
    if (commits.length > 1) throw new Refusal(`${hash} begins the hashes of ${commits.length} measured commits: give more digits.`);
    return { runs: known[commits[0]], commit: commits[0] };
  }

  async function loadRun(id) {
    try {
      return await benchLoad(`runs/${id}`);
    } catch {
      throw new Refusal(`There is no run “${plain(id)}”.`);
    }
  }

  /** What to compare: all sessions of both commits, {arms, runs}; else all runs of each side that can be compared. */
  function choose(a, b) {
    if (a.commit && b.commit && a.commit !== b.commit) {
      const both = (one, other) => one.runs.filter((run) => run.baseline === other.commit);
      for (const [arms, runs] of [[[1, 0], both(b, a)], [[0, 1], both(a, b)]]) {
        const alike = runs.filter((run) => run.levels.join() === runs[0].levels.join());
        if (alike.length) return { arms, sides: [alike.slice(0, MOST), alike.slice(0, MOST)] };
      }
    }
    for (const [side, other] of [[a, "first"], [b, "second"]]) {
      if (!side.runs.length) throw new Refusal(`The ${other} commit was measured as a baseline only: choose one that has a run of its own.`);
    }
    const alike = (test) => {
      for (const two of b.runs) for (const one of a.runs) if (one.id !== two.id && test(one, two)) return [one, two];
      return null;
    };
    const anchored = (one, two) => one.baseline && one.baseline === two.baseline;
    const alone = (one, two) => !one.baseline && !two.baseline && one.environment === two.environment;
    const levels = (test) => (one, two) => test(one, two) && one.levels.join() === two.levels.join();
    const found = alike(levels(anchored)) ?? alike(levels(alone)) ?? alike(anchored) ?? alike(alone);
    if (!found) return { arms: null, sides: [[a.runs[0]], [b.runs[0]]] };
    const same = (like) => (run) => run.baseline === like.baseline && run.levels.join() === like.levels.join() && (like.baseline || run.environment === like.environment);
    return { arms: null, sides: [a.runs.filter(same(found[0])).slice(0, MOST), b.runs.filter(same(found[1])).slice(0, MOST)] };
  }

  // --- what is compared

  /** What of environment, settings and code differs, as conditions of scripts/report/contrast.py. */
  function conditions(a, b) {
    const found = a.layout === b.layout ? [] : [`layout: ${b.layout ?? "one version alone"} instead of ${a.layout ?? "one version alone"}`];
    for (const part of ["environment", "limits", "workload"]) {
      for (const [field, value] of Object.entries(b[part] ?? {})) {
        const before = a[part]?.[field];
        if (value !== before) found.push(`${part} ${field}: ${value} instead of ${before ?? "none"}`);
      }
    }
    for (const [name, packages] of Object.entries(b.packages)) {
      for (const [package_, version] of Object.entries(packages)) {
        const before = a.packages[name]?.[package_];
        if (a.packages[name] && version !== before) found.push(`${package_} of ${name}: ${version} instead of ${before ?? "none"}`);
      }
    }
    return found;
  }

  /** Why two runs are not to be divided by each other, or null. Ratios to one baseline are compared over machines. */
  function obstacle(a, b) {
    if (!anchored(a, b) && a.fingerprint !== b.fingerprint) return "They were measured in different environments, so their ratio would be one of machines, and not of code.";
    if (!a.baseline !== !b.baseline || a.layout !== b.layout) return "In a duet two versions share a core, elsewhere each has it alone, so their ratio would be one of sessions, and not of code.";
    if (JSON.stringify(a.workload) !== JSON.stringify(b.workload)) return "Their requests did different work, so their ratio would say nothing.";
    if (a.baseline && !anchored(a, b)) return "Each has another baseline beside it on its core, so their ratio would be one of baselines, too.";
    return null;
  }

  const anchored = (a, b) => Boolean(a.baseline && b.baseline && a.baseline.sha === b.baseline.sha);

  /** By level and round, the mean of the metric's logarithms; of candidate / baseline, pair by pair, where there is one. */
  function rounds(data, backend, metric, levels) {
    const { blocks } = data, which = data.backends.indexOf(backend), pairs = new Map();
    blocks.round.forEach((round, row) => {
      const value = blocks[metric][row];
      if (blocks.backend[row] !== which || !blocks.counts[row] || !(value > 0)) return;
      const key = `${blocks.level[row]} ${round} ${blocks.index[row]} ${blocks.attempt[row]}`;
      pairs.set(key, { ...pairs.get(key), level: blocks.level[row], round, [blocks.arm[row]]: Math.log(value) });
    });
    const found = new Map(levels.map((level) => [level, new Map()]));
    for (const { level, round, 0: candidate, 1: baseline } of pairs.values()) {
      const log = data.baseline ? candidate - baseline : candidate, at = found.get(level);
      if (at && Number.isFinite(log)) at.set(round, [...(at.get(round) ?? []), log]);
    }
    return found;
  }

  /** Of `rounds`, the mean of each round at one level, or over all (null) of those that lack none. */
  function eachRound(found, level) {
    const at = level === null ? [...found.values()] : [found.get(level)];
    return [...at[0].keys()].filter((round) => at.every((one) => one.has(round))).map((round) => mean(at.map((one) => mean(one.get(round)))));
  }

  /** A run as one number, as its card has it (scripts/pages/cards.py); NaN for none. */
  function ofRun(data, found, level) {
    if (data.baseline) return mean(eachRound(found, level));
    const at = level === null ? [...found.values()] : [found.get(level)];
    return mean(at.map((one) => mean([...one.values()].flat())));
  }

  /** For each backend and metric: ratios over all levels (first) and at each, with intervals that hold together. */
  function contrast({ arms, sides }, metrics, spreads, falseAlarms) {
    const newest = sides.map(([one]) => one), measured = (data) => new Set(data.blocks.level);
    const backends = newest[1].backends.filter((name) => newest[0].backends.includes(name));
    const levels = [...measured(newest[1])].filter((level) => measured(newest[0]).has(level)).sort((one, two) => one - two);
    if (!backends.length || !levels.length) throw new Refusal("They have no backend and level in common.");
    const scopes = levels.length > 1 ? [null, ...levels] : levels;
    const wanted = backends.flatMap((name) => metrics.map((metric) => ({ name, metric })));
    const inputs = wanted.map(({ name, metric }) => {
      const of = sides.map((runs) => runs.filter((data) => data.backends.includes(name)).map((data) => ({ data, found: rounds(data, name, metric.name, levels) })));
      return scopes.map((level) => ({
        level, spread: spreadOf(spreads, newest, name, metric, level),
        sides: of.map((side) => (arms ? side.flatMap(({ found }) => eachRound(found, level)) : side.map(({ data, found }) => ofRun(data, found, level))).filter(Number.isFinite)),
      }));
    });
    const tests = inputs.flat().filter(({ sides: [one, two] }) => one.length && two.length).length;
    const ratio = ({ sides: [one, two], spread }) => (arms ? together(one.map((log) => (arms[0] ? log : -log)), falseAlarms / tests) : apart(one, two, spread, falseAlarms / tests));
    return { levels, scopes, tests, backends: backends.map((name) => ({ name, metrics: wanted.flatMap(({ name: of, metric }, place) => (of !== name ? [] : [{
      metric, ratios: inputs[place].map(ratio), runs: inputs[place].map(({ sides }) => sides.map((side) => side.length)),
    }])) })) };
  }

  /** What runs of one commit differ by where both sides were measured: variance and degrees of freedom, or null. */
  function spreadOf(spreads, [a, b], name, metric, level) {
    const levels = (data) => JSON.stringify([...new Set(data.profile.levels)].sort((one, two) => one - two));
    const frame = spreads.frames.find(({ frame }) => (frame.baseline ? frame.baseline === b.baseline?.sha && frame.layout === b.layout : !b.baseline && frame.environment === b.fingerprint)
      && levels(a) === levels(b) && JSON.stringify(frame.levels) === levels(b) && JSON.stringify(frame.workload) === JSON.stringify(b.workload));
    const found = frame?.backends[name];
    if (!found) return null;
    const row = level === null ? 0 : 1 + frame.frame.levels.indexOf(level), column = spreads.metrics.indexOf(metric.name);
    return { variance: found.variance[row]?.[column], degrees: found.degrees[row]?.[column] ?? 0 };
  }

  // --- what is said

  /** Better, worse, or not told apart: by the interval, and never what is less than half of what matters. */
  function word(ratio, metric) {
    if (separated(ratio) === null) return ["no interval", "quiet"];
    if (!separated(ratio)) return ["not told apart", "quiet"];
    if (Math.abs(Math.log(ratio.ratio)) < Math.log1p(metric.matters) / 2) return ["too small to matter", "quiet"];
    return (ratio.ratio > 1) === (metric.better === "higher") ? ["better", "good"] : ["worse", "bad"];
  }

  /** Ratio, low and high with so many digits that the ends can be told from each other. */
  function spelled({ ratio, low, high }) {
    let digits = 2;
    while (low !== null && digits < 6 && low.toFixed(digits) === high.toFixed(digits)) digits += 1;
    return [ratio, low, high].map((value) => (value === null ? null : value.toFixed(digits)));
  }

  function cell(ratio, metric) {
    if (!ratio) return element("td", {}, benchText.NOTHING);
    const [said, kind] = word(ratio, metric), [size, low, high] = spelled(ratio);
    const spread = low === null ? [] : [element("small", {}, `${low} to ${high}`)];
    return element("td", {}, element("b", {}, `${size}x`), ...spread, element("small", { class: `said ${kind}` }, said));
  }

  function backendSection({ name, metrics }, scopes, label) {
    const heads = ["users", ...metrics.map(({ metric }) => metric.label)];
    const rows = scopes.map((level, place) => row(level === null ? "all levels" : String(level), metrics.map(({ metric, ratios }) => cell(ratios[place], metric))));
    return element("section", { id: name }, element("h2", {}, label), table(`${plain(label)}: second divided by first`, heads, rows, "numeric ratios"));
  }

  /** One sentence for each backend: what the reports sum up. */
  function sentences(found, labels) {
    return found.backends.map(({ name, metrics }) => {
      const parts = metrics.filter(({ metric, ratios: [overall] }) => SUMMED_UP.includes(metric.name) && overall).map(({ metric, ratios: [overall] }) => {
        const [size, low, high] = spelled(overall);
        return `${metric.label} ${size}x (${low === null ? "no interval" : `${low} to ${high}`}), ${word(overall, metric)[0]}`;
      });
      return element("li", {}, element("strong", {}, plain(labels[name])), ` ${parts.join("; ") || "nothing to compare"}.`);
    });
  }

  /** What is said first: whether anything changed, and where. */
  function verdict(found, labels) {
    const all = found.backends.flatMap(({ name, metrics }) => metrics.flatMap(({ metric, ratios }) => ratios.filter(Boolean).map((ratio) => ({ name, said: word(ratio, metric)[0], known: ratio.low !== null }))));
    const of = (said) => [...new Set(all.filter((one) => one.said === said).map(({ name }) => plain(labels[name])))];
    const parts = ["worse", "better"].filter((said) => of(said).length).map((said) => `${said} in ${of(said).join(", ")}`);
    if (parts.length) return `The second is ${parts.join("; ")}.`;
    return all.some(({ known }) => known) ? "They cannot be told apart." : "Nothing is known of how much runs of the same code differ here: no interval.";
  }

  const HOW = {
    together: "Both were measured in one session, at the same time on the same machine: intervals are over its rounds.",
    anchored: "Each was measured beside the same baseline: what is compared are the ratios to it, so that machine and hour drop out. The intervals are of what runs of one commit differed by in this history.",
    alone: "They were measured in different sessions. The intervals are of what runs of one commit differed by in this environment, where any commit was measured again. For a verdict, measure both in one session: ./start_benchmark.sh -s compare.",
  };

  /** Every ratio as a row of the list. */
  const listed = (found, labels) => found.backends.flatMap(({ name, metrics }) => metrics.flatMap(({ metric, ratios }) => ratios
    .map((ratio, place) => ({ ratio, level: found.scopes[place] })).filter(({ ratio }) => ratio).map(({ ratio, level }) => {
      const [said, kind] = word(ratio, metric);
      return { backend: plain(labels[name]), metric: metric.label, level, ratio: ratio.ratio, low: ratio.low, high: ratio.high, said, kind };
    })));

  function sideItem(title, [data, ...more], arm) {
    const commit = arm ? data.baseline : data.commit;
    return [element("dt", {}, title), element("dd", {}, element("a", { href: `run/${encodeURIComponent(data.id)}.html` }, `Run of ${moment(Date.parse(data.started) / 1000)}`),
      more.length ? ` and ${count(more.length, "run")} before it` : "", arm ? ", its baseline, commit " : ", commit ", element("a", { href: `commit/${commit.sha}.html` }, element("code", {}, commit.sha.slice(0, 7))), ` ${plain(commit.subject)}`)];
  }

  const list = (title, lines) => [element("h2", {}, title), lines.length ? element("ul", {}, ...lines.map((line) => element("li", {}, plain(line)))) : element("p", {}, "Nothing that is recorded.")];

  async function compare(a, b) {
    const [index, spreads, ...named] = await Promise.all([benchLoad("index"), benchLoad("spread"), find(a), find(b)]);
    const { arms, sides: chosen } = choose(...named);
    if (!arms && chosen[0][0].id === chosen[1][0].id) throw new Refusal("Both are the same: there is nothing to compare.");
    const sides = await Promise.all(chosen.map((runs) => Promise.all(runs.map(({ id }) => loadRun(id)))));
    const [first, second] = sides.map(([newest]) => newest);
    const facts = element("dl", { class: "facts" }, ...sideItem("First", sides[0], arms?.[0]), ...sideItem("Second", sides[1], arms?.[1]));
    const different = list("What differs in how they were made", conditions(first, second));
    const reason = arms ? null : obstacle(first, second);
    if (reason) {
      result.replaceChildren(facts, element("p", { class: "refusal", role: "alert" }, element("strong", {}, "Not compared. "), reason), ...different);
      return "";
    }
    const found = contrast({ arms, sides }, index.metrics, spreads, index.false_alarms), { labels } = second;
    result.replaceChildren(facts, element("p", { class: "lead", id: "verdict" }, verdict(found, labels)), element("ul", { class: "sums" }, ...sentences(found, labels)), benchList.section(listed(found, labels)),
      ...found.backends.map((backend) => backendSection(backend, found.scopes, labels[backend.name])), ...different,
      element("p", { class: "quiet" }, `${HOW[arms ? "together" : anchored(first, second) ? "anchored" : "alone"]} All ${count(found.tests, "ratio")} of this page together err with a probability of at most ${Number((100 * index.false_alarms).toPrecision(3))}%.`));
    return `Second divided by first: ${count(found.backends.length, "backend")} at ${count(found.levels.length, "level")}.`;
  }

  // --- what the reader does

  let turn = 0;
  async function show() {
    const given = new URLSearchParams(location.search), [a, b] = ["a", "b"].map((side) => (given.get(side) ?? "").trim()), mine = ++turn;
    form.elements.a.value = a;
    form.elements.b.value = b;
    result.replaceChildren();
    state.textContent = a && b ? "Loading …" : "";
    if (!(a && b)) return;
    try {
      const said = await compare(a, b);
      if (mine === turn) state.textContent = said;
    } catch (error) {
      if (!(error instanceof Refusal)) console.error(error);
      if (mine === turn) state.textContent = error.message;
    }
  }

  function go(a, b) {
    history.pushState(null, "", `?${new URLSearchParams({ a, b })}`);
    show();
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    go(form.elements.a.value.trim(), form.elements.b.value.trim());
  });
  form.elements.swap.addEventListener("click", () => go(form.elements.b.value.trim(), form.elements.a.value.trim()));
  addEventListener("popstate", show);
  form.addEventListener("focusin", async () => {
    const known = document.getElementById("known"), [runs, detail] = await Promise.all([benchLoad("runs"), benchLoad("runs-detail")]);
    const newest = detail.id.map((id, run) => [id, run]).slice(-OFFERED).reverse();
    known.append(...newest.map(([id, run]) => element("option", { value: id }, `${moment(runs.started[run])}, environment ${runs.environment[run] + 1}`)));
  }, { once: true });
  show().finally(() => document.getElementById("suggestions").classList.add("begun"));
})();
