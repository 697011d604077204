/* The compare page: two runs, or two commits, from the address; their ratios by benchStats; in the words of the reports. */
"use strict";

(() => {
  const { count, element, figure, interval, moment, plain, row, table } = benchText;
  const { geometricMean, logRatioInterval, separated } = benchStats;
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

  /** Two sides, {run, arm}: the newest session that measured both commits, else the newest runs that can be compared. */
  function choose(a, b) {
    const within = (one, other, arms) => one.runs.filter((run) => run.baseline === other.commit).map((run) => arms.map((arm) => ({ run, arm })));
    if (a.commit && b.commit && a.commit !== b.commit) {
      const sessions = [...within(a, b, [0, 1]), ...within(b, a, [1, 0])].sort(([one], [two]) => (one.run.id < two.run.id ? 1 : -1));
      if (sessions.length) return sessions[0];
    }
    for (const [side, other] of [[a, "first"], [b, "second"]]) {
      if (!side.runs.length) throw new Refusal(`The ${other} commit was measured as a baseline only: choose one that has a run of its own.`);
    }
    const alike = (test) => {
      for (const two of b.runs) for (const one of a.runs) if (one.id !== two.id && test(one, two)) return [one, two];
      return null;
    };
    const same = (one, two) => one.environment === two.environment && !one.baseline === !two.baseline;
    const [one, two] = alike((i, j) => same(i, j) && i.levels.join() === j.levels.join()) ?? alike(same) ?? [a.runs[0], b.runs[0]];
    return [{ run: one, arm: 0 }, { run: two, arm: 0 }];
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

  /** Why two runs are not to be divided by each other, or null. */
  function obstacle(a, b) {
    if (a.fingerprint !== b.fingerprint) return "They were measured in different environments, so their ratio would be one of machines, and not of code.";
    if (a.layout !== b.layout) return "In a duet two versions share a core, elsewhere each has it alone, so their ratio would be one of sessions, and not of code.";
    if (JSON.stringify(a.workload) !== JSON.stringify(b.workload)) return "Their requests did different work, so their ratio would say nothing.";
    return null;
  }

  /** By level, the metric's value of each round: the geometric mean over the round's valid blocks of one arm. */
  function rounds({ data, arm }, backend, metric, levels) {
    const { blocks } = data, which = data.backends.indexOf(backend), found = new Map(levels.map((level) => [level, new Map()]));
    blocks.round.forEach((round, row) => {
      const value = blocks[metric][row];
      if (blocks.backend[row] !== which || blocks.arm[row] !== arm || !blocks.valid[row] || !(value > 0)) return;
      const level = found.get(blocks.level[row]);
      if (level) level.set(round, [...(level.get(round) ?? []), value]);
    });
    for (const values of found.values()) for (const [round, several] of values) values.set(round, geometricMean(several));
    return found;
  }

  /** All levels' rounds as rounds of one. */
  const flat = (levels) => new Map([[0, new Map([...levels].flatMap(([level, values]) => [...values].map(([round, value]) => [level * 1e6 + round, value])))]]);

  /** For each backend and metric: the ratio at each level, over all of them, and the values. */
  function contrast(first, second, metrics) {
    const measured = ({ data }) => new Set(data.blocks.level);
    const backends = second.data.backends.filter((name) => first.data.backends.includes(name));
    const levels = [...measured(second)].filter((level) => measured(first).has(level)).sort((one, two) => one - two);
    if (!backends.length || !levels.length) throw new Refusal("They have no backend and level in common.");
    return { levels, backends: backends.map((name) => ({ name, metrics: metrics.map((metric) => {
      const [one, two] = [first, second].map((side) => rounds(side, name, metric.name, levels));
      return {
        metric, overall: logRatioInterval(flat(two), flat(one), 0), ratios: levels.map((level) => logRatioInterval(two, one, level)),
        values: levels.map((level) => [one, two].map((side) => geometricMean([...side.get(level).values()]))),
      };
    }) })) };
  }

  // --- what is said

  /** Better, worse, within noise: by the interval, as the reports say it. */
  function word(ratio, metric) {
    if (separated(ratio) === null) return ["no interval", "quiet"];
    if (!separated(ratio)) return ["within noise", "quiet"];
    return (ratio.ratio > 1) === (metric.better === "higher") ? ["better", "good"] : ["worse", "bad"];
  }

  function cell(ratio, metric) {
    if (!ratio) return element("td", {}, benchText.NOTHING);
    const [said, kind] = word(ratio, metric);
    const spread = ratio.low === null ? [] : [element("small", {}, `${ratio.low.toFixed(2)} to ${ratio.high.toFixed(2)}`)];
    return element("td", {}, element("b", {}, `${ratio.ratio.toFixed(2)}x`), ...spread, element("small", { class: `said ${kind}` }, said));
  }

  function backendSection({ name, metrics }, levels, label) {
    const heads = ["users", ...metrics.map(({ metric }) => metric.label)];
    const ratios = levels.map((level, place) => row(String(level), metrics.map(({ metric, ratios }) => cell(ratios[place], metric))));
    const all = row("all levels", metrics.map(({ metric, overall }) => cell(overall, metric)));
    const values = levels.map((level, place) => row(String(level), metrics.map(({ values }) => element("td", {}, values[place].map(figure).join(" → ")))));
    return element("section", { id: name }, element("h2", {}, label), table(`${plain(label)}: second divided by first`, heads, [...ratios, all], "numeric ratios"),
      element("details", {}, element("summary", {}, "The values"), table(`${plain(label)}: first → second`, ["users", ...metrics.map(({ metric }) => `${metric.label}, ${metric.unit}`)], values, "numeric")));
  }

  /** One sentence for each backend: what the reports sum up. */
  function sentences(found, labels) {
    return found.backends.map(({ name, metrics }) => {
      const parts = metrics.filter(({ metric, overall }) => SUMMED_UP.includes(metric.name) && overall)
        .map(({ metric, overall }) => `${metric.label} ${interval(overall)}, ${word(overall, metric)[0]}`);
      return element("li", {}, element("strong", {}, plain(labels[name])), ` ${parts.join("; ") || "nothing to compare"}.`);
    });
  }

  /** Every ratio as a row of the list. */
  const listed = (found, labels) => found.backends.flatMap(({ name, metrics }) => metrics.flatMap(({ metric, overall, ratios }) => [...ratios, overall]
    .map((ratio, place) => ({ ratio, level: found.levels[place] ?? null })).filter(({ ratio }) => ratio).map(({ ratio, level }) => {
      const [said, kind] = word(ratio, metric);
      return { backend: plain(labels[name]), metric: metric.label, level, ratio: ratio.ratio, low: ratio.low, high: ratio.high, said, kind };
    })));

  function sideItem(title, { data, arm }) {
    const commit = arm ? data.baseline : data.commit;
    return [element("dt", {}, title), element("dd", {}, element("a", { href: `run/${encodeURIComponent(data.id)}.html` }, `Run of ${moment(Date.parse(data.started) / 1000)}`),
      arm ? ", its baseline, commit " : ", commit ", element("a", { href: `commit/${commit.sha}.html` }, element("code", {}, commit.sha.slice(0, 7))), ` ${plain(commit.subject)}`)];
  }

  const list = (title, lines) => [element("h2", {}, title), lines.length ? element("ul", {}, ...lines.map((line) => element("li", {}, plain(line)))) : element("p", {}, "Nothing that is recorded.")];

  async function compare(a, b) {
    const [index, ...named] = await Promise.all([benchLoad("index"), find(a), find(b)]), sides = choose(...named);
    if (sides[0].run.id === sides[1].run.id && sides[0].arm === sides[1].arm) throw new Refusal("Both are the same run: there is nothing to compare.");
    const [first, second] = await Promise.all(sides.map(async ({ run, arm }) => ({ arm, data: await loadRun(run.id) })));
    const facts = element("dl", { class: "facts" }, ...sideItem("First", first), ...sideItem("Second", second));
    const different = list("What differs in how they were made", conditions(first.data, second.data));
    const reason = obstacle(first.data, second.data);
    if (reason) {
      result.replaceChildren(facts, element("p", { class: "refusal", role: "alert" }, element("strong", {}, "Not compared. "), reason), ...different);
      return "";
    }
    const found = contrast(first, second, index.metrics), labels = second.data.labels;
    result.replaceChildren(facts, element("ul", { class: "sums" }, ...sentences(found, labels)), benchList.section(listed(found, labels)),
      ...found.backends.map((backend) => backendSection(backend, found.levels, labels[backend.name])), ...different,
      element("p", { class: "quiet" }, "Rounds of different sessions have nothing in common: the intervals cover the noise within the sessions, and not what each has of its own, such as one start of the processes or one hour of the day. Of twenty 95% intervals one is expected to miss. For a verdict, measure both in one session: ./start_benchmark.sh -s compare."));
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
